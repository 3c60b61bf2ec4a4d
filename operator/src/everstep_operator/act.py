"""A decision's pods, in order: first what ends, then what begins. What the cluster refuses is kept as a fact."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from everstep_operator.belongings import belongings_of, unwanted_of
from everstep_operator.cluster import Cluster, RefusedError
from everstep_operator.decide.decision import Decision, NewPod
from everstep_operator.decide.facts import Job, Refusal
from everstep_operator.podspec import pod_manifest
from everstep_operator.settings import Settings

log = logging.getLogger(__name__)

_LARGEST_BATCH = 64
"""Pods that are made at the same time once smaller batches went well."""

_REFUSAL_LASTS = timedelta(seconds=30)
"""How long a refused pod is not tried again: quotas and policies change at people's pace."""


class Actor:
    """Makes and deletes pods, and remembers what was refused."""

    def __init__(self, *, cluster: Cluster, settings: Settings, refusals: dict[str, Refusal]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._refusals = refusals
        self._cleared: set[str] = set()

    async def act(self, job: Job, decision: Decision) -> bool:
        """Delete and create the pods; return whether the cluster's refusal is news, which the next look has to tell."""
        for doomed in decision.delete:
            await self._cluster.delete_pod(job, doomed)
        try:
            await self._clear(job)
            await self._make(job, decision)
        except RefusedError as refusal:
            known = self._refusals.get(job.uid)
            self._refusals[job.uid] = new = Refusal(
                sentence=str(refusal), generation=job.generation, retry_at=datetime.now(UTC) + _REFUSAL_LASTS
            )
            log.warning("the cluster refuses the pods: %s", refusal, extra={"job": str(job.key)})
            return known is None or (known.sentence, known.generation) != (new.sentence, new.generation)
        # What else went through, such as a ConfigMap put in place again, says nothing of a pod that waits for its turn.
        return decision.tries_again and self._refusals.pop(job.uid, None) is not None

    def forget(self, job_uid: str) -> None:
        """Drop what was kept of a job that is gone."""
        self._cleared.discard(job_uid)

    async def _clear(self, job: Job) -> None:
        """Take from the job what it has of an operator of other settings; once is enough, since settings stay."""
        unwanted = unwanted_of(job, self._settings)
        if not unwanted or job.uid in self._cleared:
            return
        for belonging in unwanted:
            await self._cluster.remove(job, belonging)
        self._cleared.add(job.uid)

    async def _make(self, job: Job, decision: Decision) -> None:
        """Make what is missing: what there must be before pods, then the pods."""
        if decision.create and decision.is_rehearsed:
            await self._cluster.create_pod(self._manifest(job, decision, decision.create[0]), is_rehearsal=True)
        if (decision.create or decision.prepares) and decision.pin is not None and decision.spec is not None:
            belongings = belongings_of(job, decision.spec, self._settings)
            await self._cluster.prepare(job, decision.pin, belongings)
        await self._create(job, decision)

    async def _create(self, job: Job, decision: Decision) -> None:
        """Create the pods in batches of 1, 2, 4 … 64, so that what is refused once is not refused a thousand times."""
        rest: Sequence[NewPod] = decision.create
        size = 1
        while rest:
            batch, rest = rest[:size], rest[size:]
            size = min(2 * size, _LARGEST_BATCH)
            results = await asyncio.gather(
                *(self._cluster.create_pod(self._manifest(job, decision, pod)) for pod in batch),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    def _manifest(self, job: Job, decision: Decision, pod: NewPod) -> dict[str, object]:
        assert decision.spec is not None  # noqa: S101 - without a spec nothing is created
        return pod_manifest(job, decision.spec, pod, self._settings)
