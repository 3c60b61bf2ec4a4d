"""When a job ends, and what is left to do afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from everstep_api import sentences
from everstep_api.conditions import ConditionType, Statement
from everstep_api.history import Recoveries
from everstep_api.job import TrainingJobSpec
from everstep_api.wire import sync
from everstep_operator.decide.conditions import blocking
from everstep_operator.decide.decision import Decision, DoomedPod
from everstep_operator.decide.facts import Observation
from everstep_operator.decide.failures import Cause, Loss
from everstep_operator.decide.members import Standing, Standings

_FAREWELL = timedelta(seconds=30)
"""Time that agents have to hear `finish` or `stop` and exit by themselves before their pods are deleted."""


_PROGRAM_FAULTS = frozenset({Cause.RANK_EXITED, Cause.STEP_HUNG, Cause.OUT_OF_MEMORY})
"""Failures that a program repeats; a signal from outside may come again and again by chance."""
_CRASHES = frozenset({128 + signal for signal in (4, 6, 7, 8, 11)})
"""SIGILL, SIGABRT, SIGBUS, SIGFPE and SIGSEGV are signals that a program brings upon itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of a job."""

    said: Statement
    output: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the job is complete."""
        return self.said.type == ConditionType.COMPLETE


def judge(
    seen: Observation, spec: TrainingJobSpec, standings: Standings | None, loss: Loss | None, recoveries: Recoveries
) -> Verdict | None:
    """The end of the job, if it has come; `recoveries` has the loss already."""
    if standings is not None and standings.are_all(Standing.DONE):
        return _success(seen, standings)
    if loss is not None and (said := _fatal(loss, spec, recoveries)) is not None:
        return Verdict(said=said)
    return next((verdict for moment, verdict in deadlines(seen, spec) if seen.now >= moment), None)


def deadlines(seen: Observation, spec: TrainingJobSpec) -> Iterator[tuple[datetime, Verdict]]:
    """The moments at which the job fails by the clock."""
    status = seen.job.status
    start = status.start_time
    if start is None or spec.suspend:
        return
    if spec.active_deadline_seconds is not None:
        limit_s, step = spec.active_deadline_seconds, status.progress.step if status.progress else 0
        yield (start + timedelta(seconds=limit_s), Verdict(said=sentences.deadline_exceeded(limit_s, step=step)))
    if spec.startup_deadline_seconds is not None and not has_stepped(seen):
        limit_s = spec.startup_deadline_seconds
        blocked = blocking(status.conditions)
        said = sentences.startup_deadline_exceeded(limit_s, stage=blocked.message if blocked else "it was accepted.")
        yield (start + timedelta(seconds=limit_s), Verdict(said=said))


def has_stepped(seen: Observation) -> bool:
    """Whether the job ever made a step."""
    progress = seen.job.status.progress
    return (progress is not None and progress.step > 0) or any(
        agent.report.progress is not None and agent.report.progress.step > 0 for agent in seen.agents.values()
    )


def after_the_end(seen: Observation, spec: TrainingJobSpec | None) -> Decision:
    """What is left of a finished job: let the agents go, delete the pods that its policy names, then the job itself."""
    status = seen.job.status
    end = status.completion_time or seen.now
    policy = spec.clean_pod_policy if spec else "Running"
    is_complete = status.endings[0].type == ConditionType.COMPLETE
    is_farewell = seen.now - end < _FAREWELL
    running = [pod for pod in seen.pods if pod.is_live]
    doomed = {"None": [], "Running": running, "All": [pod for pod in seen.pods if not pod.is_deleted]}[policy]
    if is_farewell and running:
        doomed = []
    ttl = spec.ttl_seconds_after_finished if spec else None
    moments = [end + _FAREWELL] if is_farewell and running else []
    if ttl is not None:
        moments.append(end + timedelta(seconds=ttl))
    return Decision(
        status=status,
        spec=spec,
        directives={pod.uid: sync.Finish() if is_complete else sync.Stop() for pod in running},
        delete=tuple(DoomedPod(name=pod.name, uid=pod.uid) for pod in doomed),
        delete_job=ttl is not None and seen.now >= end + timedelta(seconds=ttl),
        look_again_s=min((max(0.1, (moment - seen.now).total_seconds()) for moment in moments), default=None),
    )


def _success(seen: Observation, standings: Standings) -> Verdict:
    reports = [seen.agents[uid].report for uid in standings.by_uid]
    output = next((report.output for report in reports if report.output is not None), None)
    steps = [report.progress.step for report in reports if report.progress is not None]
    steps += [report.resumed.step for report in reports if report.resumed is not None]  # an earlier job
    steps += [seen.job.status.progress.step] if seen.job.status.progress else []
    said = sentences.model_written(output or "its address", steps=max(steps, default=0))
    return Verdict(said=said, output=output)


def _fatal(loss: Loss, spec: TrainingJobSpec, recoveries: Recoveries) -> Statement | None:
    if loss.cause is Cause.REFUSED:
        return sentences.recipe_refused(loss.message)
    if loss.action == "FailJob" and loss.exit_code is not None:
        return sentences.rule_matched(loss.rule, exit_code=loss.exit_code)
    recovery, window = spec.recovery, recoveries.window
    if loss.is_counted and window is not None and window.counted > recovery.max_restarts:
        window_s = recovery.restart_window_seconds
        return sentences.restarts_exhausted(window.counted, window_s=window_s, last=loss.message)
    last = recoveries.recent[: sentences.SAME_FAILURES]
    is_same = len(last) == sentences.SAME_FAILURES and len({entry.signature for entry in last}) == 1
    is_the_programs = loss.cause in _PROGRAM_FAULTS or loss.exit_code in _CRASHES
    if loss.is_counted and is_same and is_the_programs:
        return sentences.same_failure(loss.step, failure=loss.message)
    return None
