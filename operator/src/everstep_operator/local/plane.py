"""An operator for jobs of this machine: the same decisions and the same sync API as in a cluster."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_operator.control import Control
from everstep_operator.decide.decision import Event
from everstep_operator.decide.facts import Agent, Job, JobKey, Limits
from everstep_operator.local.cluster import LocalCluster
from everstep_operator.queue import WorkQueue
from everstep_operator.settings import Settings
from everstep_operator.sync.certificates import Keys
from everstep_operator.sync.tokens import TokenSigner, TokenVerifier

_HOST = "127.0.0.1"

LOCAL_LIMITS = Limits(progress_every=timedelta(seconds=1))
"""A file is cheaper to write than an object of a cluster, and somebody looks on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlane:
    """A running operator of this machine."""

    cluster: LocalCluster
    control: Control
    changed: asyncio.Event

    async def submit(self, manifest: Manifest) -> JobKey:
        """Create the job."""
        return await self.cluster.submit(manifest)

    async def status(self, key: JobKey) -> TrainingJobStatus:
        """The job's status as it is written."""
        job = await self.cluster.read_job(key)
        return job.status if job is not None else TrainingJobStatus()

    async def agents(self, key: JobKey) -> dict[str, Agent]:
        """What the job's agents have said, by pod uid: fresher than the status."""
        job = await self.cluster.read_job(key)
        return dict(self.control.reports.of(job.uid)) if job is not None else {}

    async def wait(self, key: JobKey, until: Callable[[TrainingJobStatus], bool]) -> TrainingJobStatus:
        """Wait until the job's status fulfils this, and return it."""
        while True:
            self.changed.clear()
            status = await self.status(key)
            if until(status):
                return status
            await self.changed.wait()

    async def ended(self, key: JobKey) -> TrainingJobStatus:
        """Wait for the end of the job, and return its status."""
        return await self.wait(key, lambda status: bool(status.endings))


@asynccontextmanager
async def local_plane(
    folder: Path,
    *,
    limits: Limits = LOCAL_LIMITS,
    tell: Callable[[Job, Event], None] = lambda _job, _event: None,
) -> AsyncIterator[LocalPlane]:
    """Run an operator whose jobs and pods live below the folder; at the end of the context all of them are ended."""
    listener = socket.create_server((_HOST, 0))
    settings = Settings(sync_url=f"https://{_HOST}:{listener.getsockname()[1]}", limits=limits)
    queue: WorkQueue[JobKey] = WorkQueue(slowest_retry_s=settings.slowest_retry_s)
    keys, signer, changed = Keys.make(), TokenSigner(), asyncio.Event()
    verifier = TokenVerifier(signer.public_keys)
    cluster = LocalCluster(
        folder,
        signer=signer,
        authority_pem=keys.certificate_pem,
        wake=queue.add,
        tell=tell,
        written=changed.set,
    )
    control = Control.of(cluster=cluster, queue=queue, settings=settings, keys=keys, verifier=verifier)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(control.run(listener, keys.server_context([_HOST])))
        async with cluster:
            try:
                yield LocalPlane(cluster=cluster, control=control, changed=changed)
            finally:
                running.cancel()  # first, or it would replace the pods that the cluster ends
                await asyncio.wait([running])
