"""The newest report of each agent, and the moments that tell how long it has been so.

A report that brings more than progress wakes the job's reconcile; mere progress is read at its next look.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from everstep_api.wire.sync import Report
from everstep_operator.decide.facts import Agent
from everstep_operator.observe import clock


class Reports:
    """What agents have said, by job and pod. In memory: agents say it again within a second."""

    def __init__(self, *, per_s: int, now: Callable[[], datetime] = clock) -> None:
        self._per_s = per_s
        self._now = now
        self._agents: dict[str, dict[str, Agent]] = {}

    def hear(self, job_uid: str, pod_uid: str, report: Report) -> bool:
        """Take a report in; return whether it brings more than progress."""
        agents = self._agents.setdefault(job_uid, {})
        old = agents.get(pod_uid)
        agents[pod_uid] = _heard(old, report, self._now())
        return old is None or _essence(old.report) != _essence(report)

    def of(self, job_uid: str) -> Mapping[str, Agent]:
        """The newest report of each agent of the job, by pod uid."""
        return dict(self._agents.get(job_uid, {}))

    def forget(self, job_uid: str) -> None:
        """Drop the reports of a job that is gone."""
        self._agents.pop(job_uid, None)

    def keep(self, job_uid: str, pod_uids: frozenset[str]) -> None:
        """Drop the reports of pods that are gone."""
        agents = self._agents.get(job_uid, {})
        for pod_uid in agents.keys() - pod_uids:
            del agents[pod_uid]

    @property
    def next_report_s(self) -> float:
        """Seconds until an agent's next report: one, or as many as keep the leader's load within its limit."""
        count = sum(len(agents) for agents in self._agents.values())
        return max(1.0, count / self._per_s)


def _heard(old: Agent | None, report: Report, now: datetime) -> Agent:
    failed = now if report.failure is not None else None
    if old is None:
        return Agent(report=report, heard=now, state_since=now, advanced=now, failed=failed)
    was = old.report
    is_same_failure = was.failure is not None and was.failure == report.failure
    return Agent(
        report=report,
        heard=now,
        state_since=old.state_since if was.state == report.state and was.boot_id == report.boot_id else now,
        advanced=old.advanced if _place(was) == _place(report) else now,
        restarted=old.restarted if was.boot_id == report.boot_id else now,
        failed=old.failed if is_same_failure else failed,
    )


def _place(report: Report) -> tuple[object, ...]:
    """How far the agent's world is."""
    return report.world, report.phase, report.progress.step if report.progress else None


def _essence(report: Report) -> Report:
    """The report without what changes with each step; that there is a first step is essential."""
    progress = None if report.progress is None else replace(report.progress, step=0, loss=None, tokens_per_second=None)
    if progress is not None:
        progress = replace(progress, step_seconds=None, learning_rate=None, gradient_norm=None)
    return replace(report, progress=progress, snapshots=())
