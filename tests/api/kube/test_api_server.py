"""What an operator does when the API server is away, forgets, or is written to by others."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from kubernetes import config

from devcluster.control_plane import LocalControlPlane
from everstep_operator.decide.decision import DoomedPod
from everstep_operator.kube.errors import ExpiredError
from tests.api.kube.calls import a_client, a_cluster, a_reflector, pod_of, read, until
from tests.api.kube.conftest import make_workplace, operators_of
from tests.api.kube.loops import run_to_its_end
from tests.api.kube.workplace import Workplace
from tests.builders import a_job
from tests.paths import CRDS


@pytest.fixture
def own_plane() -> Iterator[LocalControlPlane]:
    """A control plane that a test may stop."""
    with LocalControlPlane.start() as started:
        started.kubectl.run("apply", "-f", str(CRDS))
        started.kubectl.wait("--for=condition=Established", "crd/trainingjobs.everstep.dev", timeout_s=20)
        yield started


@pytest.fixture
def own_workplace(own_plane: LocalControlPlane, tmp_path: Path) -> Iterator[Workplace]:
    with config.new_client_from_config(str(own_plane.kubeconfig)) as api:  # type: ignore[no-untyped-call]  # has no types
        yield make_workplace(own_plane, api, tmp_path)


def test_an_operator_outlives_a_restart_of_the_api_server(own_workplace: Workplace) -> None:
    """The watch of the pods begins anew, and what was lost meanwhile is found: the API server forgets its own past."""
    plane = own_workplace.plane
    with operators_of(own_workplace) as start:
        operator = start()
        job = own_workplace.apply(a_job().workers(2))
        pods = own_workplace.wait_for_pods(job, 2)
        plane.stop_apiserver()
        plane.start_apiserver()
        assert operator.process.poll() is None
        own_workplace.delete_pod(pods[0])
        own_workplace.wait_for_pods(job, 2, without=pods[0]["metadata"]["uid"])
        own_workplace.plane.kubectl.run("scale", "tj", job, "--replicas=3", "-n", own_workplace.namespace)
        own_workplace.wait_for_pods(job, 3)  # the watch of jobs goes on, too
        assert operator.process.poll() is None


def test_pods_that_went_away_while_the_api_server_forgot_its_past_are_no_ghosts(own_workplace: Workplace) -> None:
    """A watch cannot go on from before a restart, so all pods are listed anew, and the list replaces what was known."""

    async def talk() -> None:
        async with a_client(own_workplace) as client:
            woken = asyncio.Event()
            reflector = a_reflector(client, own_workplace, lambda _: woken.set())
            cluster = a_cluster(client, own_workplace, reflector)
            job, other = [await read(cluster, own_workplace, name) for name in names]
            for made in (job, other):
                await cluster.create_pod(pod_of(made))
            await until(reflector.synced, reflector.run())
            (pod,) = reflector.pods(job.uid)
            version = own_workplace.pods(job.key.name)[0]["metadata"]["resourceVersion"]
            await cluster.delete_pod(job, DoomedPod(name=pod.name, uid=pod.uid))
            own_workplace.plane.stop_apiserver()
            own_workplace.plane.start_apiserver()
            assert reflector.pods(job.uid) == (pod,)
            async with aclosing(client.watch("/api/v1/pods", {"resourceVersion": version})) as events:
                with pytest.raises(ExpiredError):
                    await anext(events)
            woken.clear()
            await until(woken, reflector.run())
            assert reflector.pods(job.uid) == ()
            assert len(reflector.pods(other.uid)) == 1

    names = [own_workplace.apply(a_job().named(name)) for name in ("one", "other")]
    run_to_its_end(talk())
