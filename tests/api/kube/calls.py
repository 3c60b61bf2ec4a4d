"""A cluster of a real API server in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from everstep_api.resolve import resolve
from everstep_operator.decide.decision import NewPod
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.kube.client import Client
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.kube.credentials import load_configuration
from everstep_operator.kube.pace import Bucket
from everstep_operator.kube.profiles import Profiles
from everstep_operator.kube.reflector import PodReflector
from everstep_operator.podspec import pod_manifest
from everstep_operator.settings import Settings
from tests.api.kube.loops import run_to_its_end
from tests.api.kube.workplace import Workplace
from tests.builders import Manifest

Talk = Callable[[Client, KubeCluster], Awaitable[None]]


@asynccontextmanager
async def a_client(place: Workplace) -> AsyncIterator[Client]:
    """A client as an administrator."""
    bucket = Bucket(per_s=1000, burst=1000)
    async with Client(await load_configuration(place.plane.kubeconfig), timeout_s=10, bucket=bucket) as client:
        yield client


def a_reflector(client: Client, place: Workplace, wake: Callable[[JobKey], None] = lambda _: None) -> PodReflector:
    """The pods of the namespace."""
    return PodReflector(client, namespace=place.namespace, wake=wake)


def a_cluster(client: Client, place: Workplace, reflector: PodReflector | None = None) -> KubeCluster:
    """The cluster as an operator of this namespace sees it."""
    return KubeCluster(
        client,
        reflectors=[reflector or a_reflector(client, place)],
        profiles=Profiles(client, namespace=place.namespace),
        authority_pem=b"an authority",
        instance="one",
    )


def on(place: Workplace, talk: Talk) -> None:
    """Have this talk with the API server."""

    async def run() -> None:
        async with a_client(place) as client:
            await talk(client, a_cluster(client, place))

    run_to_its_end(run())


async def until(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Have the work done until the event is set, at most 20 s."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(event.wait())
    done, _ = await asyncio.wait([working, waiting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
    for task in (working, waiting):
        task.cancel()
    await asyncio.wait([working, waiting])
    if working in done:
        working.result()
    assert waiting in done, "the event was not set within 20 s"


def pod_of(job: Job) -> Manifest:
    """The manifest of the job's first pod."""
    return pod_manifest(job, resolve(job.spec, {}).spec, NewPod(worker=0), Settings(sync_url="https://operator:8443"))


async def read(cluster: KubeCluster, place: Workplace, name: str) -> Job:
    """The job, which is there."""
    job = await cluster.read_job(JobKey(place.namespace, name))
    assert job is not None
    return job
