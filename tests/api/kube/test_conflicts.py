"""A reconcile on a real API server that somebody else is quicker than."""

import asyncio
import socket

from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import ConflictError
from everstep_operator.control import Control
from everstep_operator.decide.decision import Event
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.kube.profiles import Profiles
from everstep_operator.queue import WorkQueue
from everstep_operator.settings import Settings
from everstep_operator.sync.certificates import Keys
from everstep_operator.sync.tokens import TokenVerifier
from tests.api.kube.calls import a_client, a_reflector, read, until
from tests.api.kube.loops import run_to_its_end
from tests.api.kube.workplace import Workplace
from tests.builders import a_job


class Overtaken(KubeCluster):
    """Somebody writes to the job between its reading and the first write of its status."""

    def overtake(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self.writes: list[str] = []
        self.told = asyncio.Event()

    async def write_status(self, job: Job, status: TrainingJobStatus) -> None:
        if not self.writes:
            labels = {"metadata": {"labels": {"somebody": "else"}}}
            await asyncio.to_thread(self.workplace.patch, job.key.name, labels)
        try:
            await super().write_status(job, status)
        except ConflictError:
            self.writes.append("refused")
            raise
        self.writes.append("done")

    async def record(self, job: Job, event: Event) -> None:
        self.writes.append(event.reason)
        assert (await read(self, self.workplace, job.key.name)).status.phase is not None
        self.told.set()


def test_a_status_write_that_came_too_late_ends_the_look_and_is_decided_anew(workplace: Workplace) -> None:
    """Nothing of a look whose write was refused is told to anybody; the next look does it all."""

    async def run() -> list[str]:
        async with a_client(workplace) as client:
            cluster = Overtaken(
                client,
                reflectors=[a_reflector(client, workplace)],
                profiles=Profiles(client, namespace=workplace.namespace),
                authority_pem=b"",
                instance="one",
            )
            cluster.overtake(workplace)
            keys, settings = Keys.make(), Settings(sync_url="https://operator:8443")
            queue: WorkQueue[JobKey] = WorkQueue(slowest_retry_s=settings.slowest_retry_s)
            queue.add(JobKey(workplace.namespace, name))
            control = Control.of(cluster=cluster, queue=queue, settings=settings, keys=keys, verifier=TokenVerifier({}))
            listener = socket.create_server(("127.0.0.1", 0))
            await until(cluster.told, control.run(listener, keys.server_context(["localhost"])))
            return cluster.writes

    name = workplace.apply(a_job().workers(1))
    assert run_to_its_end(run())[:3] == ["refused", "done", "SpecResolved"]
    assert len(workplace.pods(name)) == 1
