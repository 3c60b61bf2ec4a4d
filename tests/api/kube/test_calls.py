"""Single calls of a real API server: what it refuses is what we say it refuses."""

import asyncio
import math
from dataclasses import replace

import pytest

from everstep_api.conditions import Reason
from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import ConflictError, RefusedError
from everstep_operator.decide.decision import DoomedPod, Event
from everstep_operator.decide.facts import JobKey
from everstep_operator.decide.pin import Pin
from everstep_operator.kube.client import Client
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.kube.endpoint import Endpoint
from everstep_operator.kube.events import LONGEST_NOTE
from everstep_operator.kube.jobs import job_keys, kind_is_served
from everstep_operator.kube.lease import Lease, Timings
from everstep_operator.kube.secrets import KeysError, load_keys
from everstep_operator.kube.signers import load_signers
from everstep_operator.podspec import config_map_name, owner_reference
from tests.api.kube.calls import a_cluster, on, pod_of, read
from tests.api.kube.workplace import Workplace
from tests.builders import a_job

PIN = Pin(profile="h100", settings={"recovery": {"maxRestarts": 3}}, defaults={"output.dtype": "bf16"}, image="trainer")


def test_a_status_is_written_over_the_version_that_was_read_and_over_no_other(workplace: Workplace) -> None:
    async def talk(_: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        await cluster.write_status(job, TrainingJobStatus(phase="Pending"))
        with pytest.raises(ConflictError):
            await cluster.write_status(job, TrainingJobStatus(phase="Running"))
        assert (await read(cluster, workplace, name)).status.phase == "Pending"

    name = workplace.apply(a_job())
    on(workplace, talk)


def test_the_status_of_a_job_that_is_gone_is_a_conflict(workplace: Workplace) -> None:
    async def talk(_: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        await cluster.delete_job(job)
        await cluster.delete_job(job)
        assert await cluster.read_job(job.key) is None
        with pytest.raises(ConflictError):
            await cluster.write_status(job, TrainingJobStatus(phase="Pending"))

    name = workplace.apply(a_job())
    on(workplace, talk)


def test_a_job_that_was_applied_anew_is_not_deleted_in_place_of_the_old_one(workplace: Workplace) -> None:
    async def talk(_: Client, cluster: KubeCluster) -> None:
        old = await read(cluster, workplace, name)
        await cluster.delete_job(old)
        workplace.apply(a_job())
        await cluster.delete_job(old)
        assert (await read(cluster, workplace, name)).uid != old.uid

    name = workplace.apply(a_job())
    on(workplace, talk)


def test_a_pod_that_exists_for_the_same_job_is_as_good_as_made(workplace: Workplace) -> None:
    async def talk(_: Client, cluster: KubeCluster) -> None:
        pod = pod_of(await read(cluster, workplace, name))
        await cluster.create_pod(pod, is_rehearsal=True)
        assert not workplace.pods(name)
        await cluster.create_pod(pod)
        (known,) = cluster.pods(pod["metadata"]["ownerReferences"][0]["uid"])
        await cluster.create_pod(pod)
        assert [made["metadata"]["uid"] for made in workplace.pods(name)] == [known.uid]

    name = workplace.apply(a_job())
    on(workplace, talk)


def test_a_pod_of_somebody_else_is_in_the_way_and_stays(workplace: Workplace) -> None:
    async def talk(client: Client, cluster: KubeCluster) -> None:
        pod = pod_of(await read(cluster, workplace, name))
        metadata = {key: value for key, value in pod["metadata"].items() if key != "ownerReferences"}
        await client.send("POST", f"/api/v1/namespaces/{workplace.namespace}/pods", {**pod, "metadata": metadata})
        with pytest.raises(RefusedError, match=r"already exists.* belongs to somebody else"):
            await cluster.create_pod(pod)

    name = workplace.apply(a_job())
    on(workplace, talk)


def test_a_pod_is_deleted_by_its_uid_and_a_namesake_stays(workplace: Workplace) -> None:
    async def talk(_: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        await cluster.create_pod(pod_of(job))
        (pod,) = cluster.pods(job.uid)
        await cluster.delete_pod(job, DoomedPod(name=pod.name, uid="of one that was before"))
        assert workplace.pods(name)
        await cluster.delete_pod(job, DoomedPod(name=pod.name, uid=pod.uid))
        await cluster.delete_pod(job, DoomedPod(name=pod.name, uid=pod.uid))
        assert not workplace.pods(name)

    name = workplace.apply(a_job())
    on(workplace, talk)


def test_a_config_map_that_somebody_changed_is_made_right_and_one_of_somebody_else_stays(workplace: Workplace) -> None:
    async def talk(client: Client, cluster: KubeCluster) -> None:
        job, other = await read(cluster, workplace, name), await read(cluster, workplace, another)
        path = f"/api/v1/namespaces/{workplace.namespace}/configmaps"
        theirs = {"metadata": {"name": config_map_name(another)}, "data": {"theirs": "stays"}}
        await client.send("POST", path, theirs)
        with pytest.raises(RefusedError, match="belongs to somebody else; delete it"):
            await cluster.prepare(other, PIN, [])
        owner = {"ownerReferences": [owner_reference(job)]}
        ours = {"metadata": {"name": config_map_name(name), **owner}, "data": {"ca.crt": "of an older leader"}}
        await client.send("POST", path, ours)
        assert await cluster.read_pin(job) is None
        await cluster.prepare(job, PIN, [])
        found = await client.get(f"{path}/{config_map_name(name)}")
        assert (found["data"].keys(), found["data"]["ca.crt"]) == ({"ca.crt", "pinned.json"}, "an authority")
        assert (await client.get(f"{path}/{config_map_name(another)}"))["data"] == {"theirs": "stays"}

    name, another = workplace.apply(a_job()), workplace.apply(a_job().named("another"))
    on(workplace, talk)


def test_of_operators_that_pin_a_job_at_the_same_time_the_first_one_counts(workplace: Workplace) -> None:
    async def talk(client: Client, cluster: KubeCluster) -> None:
        job, late = await read(cluster, workplace, name), a_cluster(client, workplace)
        assert await late.read_pin(job) is None
        await cluster.prepare(job, PIN, [])
        with pytest.raises(ConflictError, match="pinned to something else"):
            await late.prepare(job, replace(PIN, image="of another release"), [])
        assert await late.read_pin(job) == PIN
        await late.prepare(job, PIN, [])

    name = workplace.apply(a_job())
    on(workplace, talk)


def test_an_event_that_is_told_again_is_counted(workplace: Workplace) -> None:
    async def talk(_: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        for message in ("It trains.", "It trains.", "It trains.", "é" * 2000):
            await cluster.record(job, Event(type="Normal", reason=Reason.TRAINING, message=message))

    name = workplace.apply(a_job())
    on(workplace, talk)
    told = {event["note"]: event.get("series", {}).get("count", 1) for event in workplace.events(name)}
    assert told.pop("It trains.") == 3
    (long,) = told
    assert len(long.encode()) <= LONGEST_NOTE
    assert "It trains." in workplace.plane.kubectl.run("describe", "tj", name, "-n", workplace.namespace)


def test_profiles_are_read_from_labelled_config_maps_and_broken_ones_are_left_out(workplace: Workplace) -> None:
    async def talk(client: Client, cluster: KubeCluster) -> None:
        for name, text in (("h100", "optimizer: {learningRate: 2e-4}"), ("broken", "a: [1"), ("empty", "")):
            metadata = {"name": f"profile-{name}", "labels": {"everstep.dev/profile": name}}
            config_map = {"metadata": metadata, "data": {"spec.yaml": text}}
            await client.send("POST", f"/api/v1/namespaces/{workplace.namespace}/configmaps", config_map)
        assert await cluster.profiles() == {"h100": {"optimizer": {"learningRate": 2e-4}}}

    on(workplace, talk)


def test_a_number_that_json_has_not_reaches_no_api_server(workplace: Workplace) -> None:
    async def talk(client: Client, _: KubeCluster) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            await client.send("POST", "/api/v1/namespaces", {"loss": math.nan})

    on(workplace, talk)


def test_the_keys_of_all_jobs_are_listed_without_their_bodies(workplace: Workplace) -> None:
    async def talk(client: Client, _: KubeCluster) -> None:
        await kind_is_served(client)
        keys = await job_keys(client, workplace.namespace)
        assert keys == [JobKey(workplace.namespace, name) for name in names]
        assert set(keys) <= set(await job_keys(client, None))

    names = [workplace.apply(a_job().named(name)) for name in ("first", "second")]
    on(workplace, talk)


def test_of_leaders_that_make_the_keys_at_the_same_time_all_have_the_same(workplace: Workplace) -> None:
    async def talk(client: Client, _: KubeCluster) -> None:
        place = {"namespace": workplace.namespace, "name": "keys"}
        first, *others = await asyncio.gather(*(load_keys(client, **place) for _ in range(5)))
        assert all(other == first for other in others)
        await client.send("POST", f"/api/v1/namespaces/{workplace.namespace}/secrets", {"metadata": {"name": "other"}})
        with pytest.raises(KeysError, match=r"has no usable 'ca\.crt'; delete it"):
            await load_keys(client, namespace=workplace.namespace, name="other")

    on(workplace, talk)


def test_of_many_that_want_to_lead_one_leads_and_the_next_follows_at_once_when_it_lets_go(workplace: Workplace) -> None:
    async def talk(client: Client, __: KubeCluster) -> None:
        leases = [
            Lease(client, namespace=workplace.namespace, name="lease", identity=str(number), timings=timings)
            for number in range(5)
        ]
        waiting = {asyncio.create_task(lease.acquire()): lease for lease in leases}
        for left in (4, 3):
            async with asyncio.timeout(8):
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 1
            await waiting.pop(done.pop()).release()
            assert len(waiting) == left
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    timings = Timings(duration_s=10, deadline_s=7, retry_s=0.5)
    on(workplace, talk)


def test_the_endpoint_slice_is_taken_over_and_changes_its_kind_of_address(workplace: Workplace) -> None:
    async def talk(client: Client, _: KubeCluster) -> None:
        place = {"namespace": workplace.namespace, "service": "operator"}
        for address, kind in (("192.0.2.1", "IPv4"), ("192.0.2.2", "IPv4"), ("2001:db8::1", "IPv6")):
            endpoint = Endpoint(client, **place, address=address, port=8443)
            await endpoint.announce()
            await endpoint.announce()
            path = f"/apis/discovery.k8s.io/v1/namespaces/{workplace.namespace}/endpointslices/operator-leader"
            found = await client.get(path)
            assert (found["addressType"], found["endpoints"][0]["addresses"]) == (kind, [address])

    on(workplace, talk)


def test_the_keys_that_sign_tokens_are_those_of_the_api_server(workplace: Workplace) -> None:
    async def talk(client: Client, _: KubeCluster) -> None:
        assert len(await load_signers(client)) == 1

    on(workplace, talk)
