"""One screen: how a job comes one step closer to its spec. Safe to run at any time and to be cut anywhere."""

import logging
from collections.abc import Sequence
from typing import Protocol

from everstep_api.status import TrainingJobStatus
from everstep_operator.act import Actor
from everstep_operator.cluster import Cluster
from everstep_operator.decide import decide
from everstep_operator.decide.decision import Decision
from everstep_operator.decide.facts import Job, JobKey, Observation
from everstep_operator.observe import Observer

log = logging.getLogger(__name__)


class Directives(Protocol):
    """Where agents hear what they shall do."""

    def release(self, job: Job, decision: Decision) -> None:
        """Let the job's agents hear the decision; only after the write of the status that it belongs to."""
        ...

    def close(self, job_uid: str) -> None:
        """Tell all agents of a job that is gone that they are not wanted."""
        ...


class Follower(Protocol):
    """Who shows what became of jobs."""

    def follow(self, key: JobKey, old: TrainingJobStatus, new: TrainingJobStatus) -> None:
        """The new status is written in place of the old one, or is the same."""
        ...

    def forget(self, key: JobKey) -> None:
        """The job is gone."""
        ...


class Reconciler:
    """Observe, decide, act on pods, write the status, release directives, tell people."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        observer: Observer,
        actor: Actor,
        directives: Directives,
        followers: Sequence[Follower] = (),
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._actor = actor
        self._directives = directives
        self._followers = followers
        self._uids: dict[JobKey, str] = {}

    async def reconcile(self, key: JobKey) -> float | None:
        """Bring one job one step closer to its spec; return the seconds until the next look."""
        seen = await self._observer.observe(key)
        self._tell_jobs_apart(key, seen.job.uid if seen is not None else None)
        if seen is None:
            return None  # gone: garbage collection owns the rest
        decision = decide(seen)
        is_refused = await self._actor.act(seen.job, decision)
        await self._publish(seen, decision)  # compare-and-swap; a conflict ends here and nothing below happens
        self._directives.release(seen.job, decision)
        for event in decision.events:
            await self._cluster.record(seen.job, event)
        if decision.delete_job:
            await self._cluster.delete_job(seen.job)
        return 0.0 if is_refused else decision.look_again_s

    async def _publish(self, seen: Observation, decision: Decision) -> None:
        """Write the status; what did not change is not written."""
        if decision.status != seen.job.status:
            await self._cluster.write_status(seen.job, decision.status)
        for follower in self._followers:
            follower.follow(seen.job.key, seen.job.status, decision.status)

    def _tell_jobs_apart(self, key: JobKey, uid: str | None) -> None:
        """Forget the job that was here at the last look, if it is gone or another one has its name."""
        former = self._uids.get(key)
        if former is not None and former != uid:
            del self._uids[key]
            for follower in self._followers:
                follower.forget(key)
            self._observer.forget(former)
            self._actor.forget(former)
            self._directives.close(former)
            log.info("job is gone", extra={"job": str(key)})
        if uid is not None:
            self._uids[key] = uid
