"""Who is lost, by whose fault, and whether the job bears one more.

A world ends by one loss: the first that is told is its cause, what follows in other members is not counted. That it was
counted stands in the status (one entry in `recoveries`, and the world's `endTime`), so no restart of the operator
counts it twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from everstep_api.history import (
    MOMENTS,
    NEWEST_RECOVERIES,
    FailureMoment,
    FailureWindow,
    PastRecovery,
    Recoveries,
)
from everstep_api.job import TrainingJobSpec
from everstep_api.recovery import Recovery, RecoveryRule
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import Failure, FailureCause, Progress
from everstep_operator.decide.facts import Observation, Pod
from everstep_operator.decide.members import LOST, Standing, Standings


class Cause(StrEnum):
    """What was lost, as `status.recoveries` names it. Of losses told in one look, the first here explains the rest."""

    REFUSED = "Refused"
    FENCED = "Fenced"
    OUT_OF_MEMORY = "OutOfMemory"
    """The kernel killed a worker that used more memory than its limit."""
    WORKER_RESTARTED = "WorkerRestarted"
    """A worker's container ended and was started again."""
    WORKER_LOST = "WorkerLost"
    """A worker's pod is gone, or was ended by its node."""
    WORKER_SILENT = "WorkerSilent"
    """A worker of a world that stands still gives no answer."""
    RANK_KILLED = "RankKilled"
    RANK_FROZEN = "RankFrozen"
    STEP_HUNG = "StepHung"
    RANK_EXITED = "RankExited"
    PAUSE_TIMED_OUT = "PauseTimedOut"
    """A member did not leave its world in the time that a pause has."""
    PEER_LOST = "PeerLost"


_DISRUPTIONS = frozenset({Cause.WORKER_LOST, Cause.WORKER_SILENT, Cause.FENCED, Cause.PAUSE_TIMED_OUT})
"""Losses that are not the program's fault and cost no budget."""

_PAUSING = frozenset({Standing.INSIDE, Standing.UNKNOWN})
"""Of members that a pause waits for."""

_PRECEDENCE = tuple(Cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Why a world is over, and what is done about it."""

    world: int
    cause: Cause
    message: str
    worker: int | None = None
    pod_uid: str = ""
    node: str = ""
    signature: str = ""
    step: int = 0
    """Newest step that is known of the world."""
    exit_code: int | None = None
    """Of the rank; 128 + n when signal n ended it."""
    world_seen: int | None = None
    rule: str = ""
    action: Literal["FailJob", "Ignore", "Count", "ReplacePod"] = "Count"
    seen: datetime

    @property
    def is_counted(self) -> bool:
        """Whether it costs budget."""
        return self.action != "Ignore" and self.cause not in _DISRUPTIONS


def loss_of(seen: Observation, spec: TrainingJobSpec, standings: Standings | None) -> Loss | None:
    """The loss by which the present world ends now; one that the status has as ended cannot be lost again."""
    if standings is None or standings.world.end_time is not None:
        return None
    losses = [*_told(seen, standings), *_seen(seen, standings), *_late(seen, standings)]
    if not losses:
        return None
    first = min(losses, key=lambda loss: (_PRECEDENCE.index(loss.cause), loss.seen))
    if first.cause is Cause.PEER_LOST and seen.now - first.seen < seen.limits.echo:
        return None
    return _ruled(first, spec.recovery.rules)


def recorded(status: TrainingJobStatus, loss: Loss, recovery: Recovery) -> Recoveries:
    """The job's recoveries with this one."""
    old = status.recoveries or Recoveries()
    entry = PastRecovery(
        time=loss.seen,
        world=loss.world,
        cause=loss.cause,
        signature=loss.signature[:1024] or None,
        worker=loss.worker,
        node=loss.node or None,
        counted=loss.is_counted,
    )
    return Recoveries(
        total=old.total + 1,
        window=_window(old.window, loss, recovery) if loss.is_counted else old.window,
        recent=(entry, *old.recent)[:NEWEST_RECOVERIES],
    )


def _window(old: FailureWindow | None, loss: Loss, recovery: Recovery) -> FailureWindow:
    """The failures of the last `restartWindowSeconds`, this one among them.

    Moments that are nearer to one another than a sixtieth of it are one: those of a window that was shorter, too, of
    which there may be more than a status can have beside new ones.
    """
    length = timedelta(seconds=recovery.restart_window_seconds)
    former = [moment for moment in (old.moments if old is not None else ()) if loss.seen - moment.time < length]
    moments: list[FailureMoment] = []
    for moment in (*former, FailureMoment(time=loss.seen, counted=1)):
        if moments and moment.time - moments[-1].time < length / MOMENTS:
            moments[-1] = FailureMoment(time=moments[-1].time, counted=moments[-1].counted + moment.counted)
        else:
            moments.append(moment)
    return FailureWindow(counted=sum(moment.counted for moment in moments), moments=tuple(moments))


def _told(seen: Observation, standings: Standings) -> Iterator[Loss]:
    """What agents tell of their ranks."""
    nodes = {pod.uid: pod.node for pod in seen.pods}
    for member in standings.world.members:
        agent = seen.agents.get(member.pod_uid)
        if standings.by_uid[member.pod_uid] is not Standing.FAILED or agent is None or agent.report.failure is None:
            continue
        failure = agent.report.failure
        yield Loss(
            world=standings.world.number,
            cause=Cause(failure.cause),
            message=_sentence(member.worker, failure),
            worker=member.worker,
            pod_uid=member.pod_uid,
            node=nodes.get(member.pod_uid, ""),
            signature=_signature(failure, agent.report.progress),
            step=agent.report.progress.step if agent.report.progress else 0,
            exit_code=128 + failure.signal if failure.signal is not None else failure.exit_code,
            world_seen=failure.world_seen,
            seen=agent.failed or agent.heard,
        )


def _seen(seen: Observation, standings: Standings) -> Iterator[Loss]:
    """What pods and silence tell of agents."""
    pods = {pod.uid: pod for pod in seen.pods}
    for member in standings.world.members:
        standing = standings.by_uid[member.pod_uid]
        if standing not in LOST:
            continue
        pod = pods.get(member.pod_uid)
        cause, message = _fate(member.worker, standing, pod, seen.limits.silence)
        yield Loss(
            world=standings.world.number,
            cause=cause,
            message=message,
            worker=member.worker,
            pod_uid=member.pod_uid,
            node=pod.node if pod else "",
            signature=cause,
            seen=seen.now,
        )


def _late(seen: Observation, standings: Standings) -> Iterator[Loss]:
    """A pause that took longer than pods have."""
    asked = pause_asked(seen.job.status)
    deadline = seen.limits.grace - seen.limits.pause_margin
    if asked is None or seen.now - asked < deadline:
        return
    late = [item for item in standings.world.members if standings.by_uid[item.pod_uid] in _PAUSING]
    if not late:
        return
    member = late[0]
    yield Loss(
        world=standings.world.number,
        cause=Cause.PAUSE_TIMED_OUT,
        message=f"Worker {member.worker} did not stop after a step within {deadline.total_seconds():.0f} s.",
        worker=member.worker,
        pod_uid=member.pod_uid,
        signature=Cause.PAUSE_TIMED_OUT,
        seen=seen.now,
    )


def pause_asked(status: TrainingJobStatus) -> datetime | None:
    """When the present world was asked to pause; None when it was not, or is over."""
    world = status.world
    return world.pause_time if world is not None and world.end_time is None else None


def _fate(worker: int, standing: Standing, pod: Pod | None, silence: timedelta) -> tuple[Cause, str]:
    if standing is Standing.SILENT:
        return Cause.WORKER_SILENT, f"Worker {worker} gave no answer for {silence.total_seconds():.0f} s."
    if pod is not None and pod.last_ending is not None and pod.last_ending.reason == "OOMKilled":
        return Cause.OUT_OF_MEMORY, (
            f"Worker {worker} used more memory than its limit; raise spec.workers.resources.limits.memory,"
            " or compute fewer rows at a time by recipe.batch.microSize."
        )
    if standing is Standing.RESTARTED:
        code = f" with code {pod.last_ending.exit_code}" if pod and pod.last_ending else ""
        return Cause.WORKER_RESTARTED, f"The container of worker {worker} ended{code} and was started again."
    how = "is gone" if pod is None else f"ended as {pod.phase}{f' ({pod.obstacle})' if pod.obstacle else ''}"
    return Cause.WORKER_LOST, f"The pod of worker {worker} {how}."


def _sentence(worker: int, failure: Failure) -> str:
    match failure.cause:
        case FailureCause.REFUSED:
            return failure.message
        case FailureCause.PEER_LOST:
            return f"Rank {failure.rank} on worker {worker} lost its connection to another rank."
        case _ if failure.exception is not None:
            how = f"{failure.exception}: {failure.message}"
            return f"Rank {failure.rank} on worker {worker} ended with code {failure.exit_code} by {how}."
        case _:
            return f"Worker {worker}: {failure.message or failure.cause}"


def _signature(failure: Failure, progress: Progress | None) -> str:
    """What is the same when the same happens again."""
    parts = (
        failure.cause,
        f"exit {failure.exit_code}" if failure.exit_code is not None else "",
        f"signal {failure.signal}" if failure.signal is not None else "",
        failure.exception or "",
        f"after step {progress.step}" if progress is not None else "",
    )
    return " ".join(part for part in parts if part)


def _ruled(loss: Loss, rules: tuple[RecoveryRule, ...]) -> Loss:
    """The loss with what the first rule says that matches its exit code."""
    code = loss.exit_code
    if code is None or loss.cause in _DISRUPTIONS:
        return loss
    for rule in rules:
        is_listed = code in rule.on_exit_codes.values
        if is_listed == (rule.on_exit_codes.operator == "In"):
            return replace(loss, rule=rule.name, action=rule.action)
    return loss
