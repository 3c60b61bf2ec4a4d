"""What each agent was told last, with the digest by which it knows whether that is news.

A directive is released only after the status write that it belongs to. Where nothing was released yet, an agent is
told to ask again: no answer means to go on.
"""

import asyncio
import hashlib
import hmac
from contextlib import suppress
from dataclasses import replace

from everstep_api.resource import Manifest
from everstep_api.wire.decode import encode
from everstep_api.wire.sync import Action, Directive, Run, Wait
from everstep_operator.decide.decision import Decision
from everstep_operator.decide.facts import Job
from everstep_operator.sync.reports import Reports


class NotWantedError(Exception):
    """The pod is not wanted any more."""


class NotKnownError(Exception):
    """This leader has nothing to say to the pod yet."""


class Directives:
    """The newest directive of each agent, by job and pod."""

    def __init__(self, *, key: bytes, reports: Reports) -> None:
        self._key = key
        self._reports = reports
        self._released: dict[str, dict[str, Directive]] = {}
        self._closed: set[str] = set()
        self._changed: dict[str, asyncio.Event] = {}

    def release(self, job: Job, decision: Decision) -> None:
        """Let the job's agents hear the decision; without directives they go on with what they have."""
        if decision.directives is None:
            return
        spec, old = decision.told_spec, self._released.get(job.uid, {})
        new = {pod: self._directive(job.uid, action, spec) for pod, action in decision.directives.items()}
        self._reports.keep(job.uid, frozenset(new))
        self._released[job.uid] = new
        for pod_uid in old.keys() | new.keys():
            if old.get(pod_uid) != new.get(pod_uid) and (changed := self._changed.pop(pod_uid, None)) is not None:
                changed.set()

    def close(self, job_uid: str) -> None:
        """Tell all agents of a job that is gone that they are not wanted."""
        self._closed.add(job_uid)
        for pod_uid in self._released.pop(job_uid, {}):
            if (changed := self._changed.pop(pod_uid, None)) is not None:
                changed.set()

    async def wait(self, job_uid: str, pod_uid: str, *, seen: str, hold_s: float) -> Directive:
        """The pod's directive, as soon as its digest is not `seen`, or the one that was seen after `hold_s`.

        Raises:
            NotWantedError: the job is gone.
            NotKnownError: nothing was released to this pod in that time.
        """
        directive = self._newest(job_uid, pod_uid)
        if directive is None or directive.digest == seen:
            changed = self._changed.setdefault(pod_uid, asyncio.Event())
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), hold_s)
            directive = self._newest(job_uid, pod_uid)
        if directive is None:
            raise NotKnownError
        return directive

    def _newest(self, job_uid: str, pod_uid: str) -> Directive | None:
        if job_uid in self._closed:
            raise NotWantedError
        return self._released.get(job_uid, {}).get(pod_uid)

    def _directive(self, job_uid: str, action: Action, spec: Manifest) -> Directive:
        if isinstance(action, Run | Wait) and action.world is not None:
            action = replace(action, secret=world_secret(self._key, job_uid, action.world))
        directive = Directive(digest="", action=action, spec=spec)
        return replace(directive, digest=hashlib.sha256(encode(directive)).hexdigest()[:16])


def world_secret(key: bytes, job_uid: str, world: int) -> str:
    """What the members of a world show one another: nobody without the operator's key can know it beforehand."""
    return hmac.new(key, f"{job_uid}/{world}".encode(), hashlib.sha256).hexdigest()
