"""The control loop: keys from the queue to the reconciler, a few at a time, and back into the queue.

This is the queue's edge: whatever goes wrong with one job ends here, in the log and in a later try, and touches no
other job.
"""

import asyncio
import logging
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Self

from everstep_operator.act import Actor
from everstep_operator.cluster import Cluster, ConflictError
from everstep_operator.decide.facts import JobKey, Refusal
from everstep_operator.metrics import Metrics, Result
from everstep_operator.observe import Observer
from everstep_operator.queue import WorkQueue
from everstep_operator.reconcile import Reconciler
from everstep_operator.settings import Settings
from everstep_operator.sync.certificates import Keys
from everstep_operator.sync.directives import Directives
from everstep_operator.sync.reports import Reports
from everstep_operator.sync.server import SyncServer
from everstep_operator.sync.tokens import TokenVerifier

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An operator on top of some cluster, without what is special to it."""

    queue: WorkQueue[JobKey]
    reports: Reports
    server: SyncServer
    reconciler: Reconciler
    settings: Settings
    metrics: Metrics

    @classmethod
    def of(
        cls,
        *,
        cluster: Cluster,
        queue: WorkQueue[JobKey],
        settings: Settings,
        keys: Keys,
        verifier: TokenVerifier,
        metrics: Metrics | None = None,
    ) -> Self:
        """Put the parts together. Agents' reports wake the job that they are about."""
        metrics = metrics or Metrics()
        refusals: dict[str, Refusal] = {}
        reports = Reports(per_s=settings.reports_per_s)
        directives = Directives(key=keys.secret, reports=reports)
        observer = Observer(cluster=cluster, agents=reports, settings=settings, refusals=refusals)
        actor = Actor(cluster=cluster, settings=settings, refusals=refusals)

        def waken(job_uid: str) -> None:
            key = observer.key_of(job_uid)
            if key is not None:
                queue.add(key)

        server = SyncServer(
            reports=reports,
            directives=directives,
            verifier=verifier,
            is_known=lambda job_uid, pod_uid: any(pod.uid == pod_uid for pod in cluster.pods(job_uid)),
            waken=waken,
        )
        reconciler = Reconciler(
            cluster=cluster, observer=observer, actor=actor, directives=directives, followers=[metrics.jobs]
        )
        return cls(
            queue=queue, reports=reports, server=server, reconciler=reconciler, settings=settings, metrics=metrics
        )

    async def run(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Hear agents and work on jobs until cancelled."""
        try:
            await self.server.start(listener, context)
            async with asyncio.TaskGroup() as group:
                for _ in range(self.settings.reconcilers):
                    group.create_task(self.work())
        finally:
            self.queue.close()
            await self.server.close()

    async def work(self) -> None:
        """Work on one job after the other until cancelled."""
        while True:
            key = await self.queue.get()
            began = time.monotonic()
            try:
                result = await self._look(key)
                self.metrics.reconciled(result, time.monotonic() - began)
            finally:
                self.queue.done(key)

    async def _look(self, key: JobKey) -> Result:
        try:
            again_s = await self.reconciler.reconcile(key)
        except ConflictError as conflict:
            log.debug("somebody wrote first: %s", conflict, extra={"job": str(key)})
            self.queue.retry(key)
            return "conflict"
        except Exception:
            delay_s = self.queue.retry(key)
            log.exception("reconcile failed and is tried again in %.2f s", delay_s, extra={"job": str(key)})
            return "error"
        self.queue.forget_errors(key)
        if again_s is not None:
            self.queue.add_after(key, again_s)
        return "done"
