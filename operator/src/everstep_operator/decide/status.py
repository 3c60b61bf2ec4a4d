"""The next status: what is true now, written so that the next decision finds in it all that it needs of the past."""

from collections.abc import Iterable
from datetime import datetime

from everstep_api import sentences
from everstep_api.conditions import ConditionType, Reason, Statement
from everstep_api.history import Recoveries
from everstep_api.job import TrainingJobSpec
from everstep_api.progress import Progress, Result
from everstep_api.status import Condition, Display, TrainingJobStatus, WorkerCounts, World
from everstep_operator.decide import conditions
from everstep_operator.decide.acceptance import Acceptance, pinned_image
from everstep_operator.decide.conditions import Scene
from everstep_operator.decide.ending import Verdict
from everstep_operator.decide.facts import Observation
from everstep_operator.decide.progress import (
    checkpoints_of,
    evaluations_of,
    priced_recoveries,
    progress_of,
    resumed_world,
)
from everstep_operator.decide.stages import launch_of, timed_recoveries


def refused(seen: Observation, said: Statement) -> TrainingJobStatus:
    """The status of a job whose spec cannot be acted upon."""
    old = seen.job.status
    update = {
        "observed_generation": seen.job.generation,
        "conditions": conditions.with_conditions(seen, [said]),
        "phase": old.phase or "Pending",
        "reason": said.reason,
    }
    return old.model_copy(update=update)


def going_on(
    accepted: Acceptance, scene: Scene, said: list[Statement], recoveries: Recoveries | None
) -> TrainingJobStatus:
    """The status of a job that goes on; the old one when nothing is new but progress that can wait."""
    seen, spec, plan = scene.seen, scene.spec, scene.plan
    old = seen.job.status
    is_accepted = accepted.said.reason is Reason.SPEC_RESOLVED
    made = conditions.with_conditions(seen, said, [ConditionType.SCHEDULED] if spec.suspend else [])
    world = plan.world if plan.is_new else resumed_world(seen, plan.world)
    workers = _counted_workers(seen, None if plan.is_over else world)
    # What the old world reached is written with the new one, to price what its loss cost.
    progress = progress_of(seen, old.world if plan.is_new else world)
    blocked = conditions.blocking(made)
    start_time = _start_time(seen, spec, is_accepted=is_accepted)
    priced = priced_recoveries(recoveries, world, scene.step)
    update = {
        "observed_generation": seen.job.generation,
        "conditions": made,
        "reason": blocked.reason if blocked else None,
        "phase": _phase_of(made, active=workers.active),
        "profile": accepted.profile,
        "trainer_image": old.trainer_image if seen.pin is None else pinned_image(seen, accepted.image),
        "start_time": start_time,
        "launch_milliseconds": launch_of(scene, start_time, world),
        "workers": workers,
        "world": world,
        "progress": progress,
        "display": _display_of(progress, workers, spec.workers.replicas),
        "checkpoints": checkpoints_of(seen, world),
        "evaluation": evaluations_of(seen),
        "recoveries": timed_recoveries(seen, priced, world),
    }
    new = old.model_copy(update=update)
    is_early = old.progress is not None and seen.now - old.progress.last_update_time < seen.limits.progress_every
    return old if is_early and _is_progress_alone(old, new) else new


def ended(
    seen: Observation, spec: TrainingJobSpec, verdict: Verdict, recoveries: Recoveries | None
) -> TrainingJobStatus:
    """The status with the end."""
    old = seen.job.status
    workers = _counted_workers(seen, None)
    progress = progress_of(seen, old.world)
    update = {
        "observed_generation": seen.job.generation,
        "phase": str(verdict.said.type),
        "reason": None if verdict.is_success else verdict.said.reason,
        "completion_time": seen.now,
        "conditions": conditions.with_conditions(seen, [sentences.ended(), verdict.said]),
        "workers": workers,
        "display": _display_of(progress, workers, spec.workers.replicas),
        "progress": progress,
        "checkpoints": checkpoints_of(seen, old.world),
        "evaluation": evaluations_of(seen),
        "recoveries": recoveries,
        "output": Result(uri=verdict.output) if verdict.output else None,
    }
    return old.model_copy(update=update)


def _start_time(seen: Observation, spec: TrainingJobSpec, *, is_accepted: bool) -> datetime | None:
    if spec.suspend:
        return None
    return seen.job.status.start_time or (seen.now if is_accepted else None)


def _counted_workers(seen: Observation, world: World | None) -> WorkerCounts:
    """The job's pods, counted."""
    live = [pod for pod in seen.pods if pod.phase in {"Pending", "Running"}]
    members = {member.pod_uid for member in world.members} if world else set()
    agents = seen.agents
    return WorkerCounts(
        active=len(live),
        ready=sum(pod.uid in agents and agents[pod.uid].can_enter for pod in live),
        training=sum(pod.uid in members for pod in live),
        selector=f"everstep.dev/job-uid={seen.job.uid}",
    )


def _display_of(progress: Progress | None, workers: WorkerCounts, replicas: int) -> Display:
    """The columns of `kubectl get` that are no field."""
    step = None
    if progress is not None:
        step = f"{progress.step}/{progress.total_steps}" if progress.total_steps else str(progress.step)
    remaining = progress.estimated_remaining_seconds if progress else None
    loss = next((figure.value for figure in progress.metrics if figure.name == "loss"), None) if progress else None
    return Display(
        step=step,
        workers=f"{workers.training}/{replicas}",
        remaining=_duration(remaining) if remaining is not None else None,
        metric=f"loss {loss}" if loss is not None else None,
    )


def _phase_of(conditions: Iterable[Condition], *, active: int) -> str:
    """The state of a job that goes on in one word, for people."""
    reasons = {Reason(condition.reason) for condition in conditions}
    if Reason.SUSPEND_REACHED in reasons:
        return "Suspended"
    if Reason.RECOVERING in reasons:
        return "Recovering"
    if reasons & {Reason.TRAINING, Reason.RESIZING, Reason.SUSPEND_WANTED}:
        return "Running"
    return "Starting" if active else "Pending"


def _is_progress_alone(old: TrainingJobStatus, new: TrainingJobStatus) -> bool:
    """Whether the two differ in nothing that must be written at once."""
    return _without_progress(old) == _without_progress(new)


def _without_progress(status: TrainingJobStatus) -> TrainingJobStatus:
    held = status.checkpoints
    memory = held.memory.model_copy(update={"step": None}) if held is not None and held.memory is not None else None
    checkpoints = held.model_copy(update={"memory": memory}) if held is not None else None
    return status.model_copy(update={"progress": None, "display": None, "checkpoints": checkpoints})


def _duration(seconds: int) -> str:
    minutes, hours = seconds // 60, seconds // 3600
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m{seconds % 60:02d}s" if minutes else f"{seconds}s"
