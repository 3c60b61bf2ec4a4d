"""How far the job is: what its agents' reports add to what the status knew before."""

from collections.abc import Sequence
from datetime import datetime

from everstep_api.history import PastRecovery, Recoveries
from everstep_api.progress import (
    NEWEST_EVALUATIONS,
    Checkpoints,
    DurableCheckpoint,
    EvaluationHistory,
    EvaluationPoint,
    Figure,
    MemorySnapshot,
    Progress,
)
from everstep_api.status import ResumePoint, World
from everstep_api.wire import sync
from everstep_operator.decide.facts import Observation


def progress_of(seen: Observation, world: World | None) -> Progress | None:
    """The newest progress of the world, or what was known before it made its first step."""
    old = seen.job.status.progress
    told = _newest(seen, world)
    if told is None:
        return old
    total = told.total_steps or (old.total_steps if old else None)
    left = max(0, total - told.step) if total is not None else None
    remaining = round(left * told.step_seconds) if left is not None and told.step_seconds is not None else None
    figures = (("loss", told.loss), ("learningRate", told.learning_rate), ("gradientNorm", told.gradient_norm))
    return Progress(
        step=told.step,
        total_steps=total,
        percent=min(100, 100 * told.step // total) if total else None,
        tokens_per_second=_whole(told.tokens_per_second),
        estimated_remaining_seconds=remaining,
        last_update_time=seen.now,
        metrics=tuple(Figure(name=name, value=f"{value:.4g}") for name, value in figures if value is not None),
    )


def resumed_world(seen: Observation, world: World | None) -> World | None:
    """The world with the point at which it took up the work, once a member has told it."""
    if world is None or world.resumed_from is not None:
        return world
    told = next((report.resumed for report in _reports(seen, world) if report.resumed is not None), None)
    if told is None:
        return world
    return world.model_copy(update={"resumed_from": ResumePoint(step=told.step, tier=told.tier)})


def priced_recoveries(recoveries: Recoveries | None, world: World | None, reached: int | None) -> Recoveries | None:
    """The recoveries, the newest one with the steps that it cost, once it is known where the work was taken up.

    Args:
        recoveries: As they are.
        world: The world that followed.
        reached: Step that had been reached before the loss.
    """
    if recoveries is None or not recoveries.recent or world is None or reached is None:
        return recoveries
    newest = recoveries.recent[0]
    if newest.lost_steps is not None or newest.world >= world.number or world.resumed_from is None:
        return recoveries
    priced: PastRecovery = newest.model_copy(update={"lost_steps": max(0, reached - world.resumed_from.step)})
    return recoveries.model_copy(update={"recent": (priced, *recoveries.recent[1:])})


def checkpoints_of(seen: Observation, world: World | None) -> Checkpoints | None:
    """Where the work is safe: what the agents tell of storage and memory, or what was known before."""
    old = seen.job.status.checkpoints
    durable = _durable(seen, old.durable if old else None)
    memory = _memory(seen, world) or (old.memory if old else None)
    return Checkpoints(durable=durable, memory=memory) if durable or memory else None


def _durable(seen: Observation, old: DurableCheckpoint | None) -> DurableCheckpoint | None:
    """The newest durable checkpoint that any agent tells of, or that was known before."""
    told = [agent.report.durable for agent in seen.agents.values() if agent.report.durable is not None]
    newest = max(told, key=lambda checkpoint: checkpoint.step, default=None)
    if newest is None or (old is not None and old.step >= newest.step):
        return old  # a world goes on from the newest state, so that the step only grows
    return DurableCheckpoint(step=newest.step, uri=newest.uri, commit_time=datetime.fromisoformat(newest.commit_time))


def _memory(seen: Observation, world: World | None) -> MemorySnapshot | None:
    """The newest snapshot that every member of the world holds, and how often there is one, or why there is none."""
    reports = _reports(seen, world)
    tier = next((report.memory for report in reports if report.memory is not None), None)
    if tier is None or world is None:
        return None
    held = [report.snapshots[-1].step for report in reports if report.snapshots]
    is_whole = len(held) == world.size
    return MemorySnapshot(step=min(held) if is_whole else None, every_steps=tier.every_steps, message=tier.message)


def evaluations_of(seen: Observation) -> EvaluationHistory | None:
    """The newest evaluations, newest first, those of the present world in place of older ones of the same step."""
    old = seen.job.status.evaluation
    points = {point.step: point for point in (old.history if old else ())}
    for agent in seen.agents.values():
        for told in agent.report.evaluations:
            figures = tuple(Figure(name=name, value=f"{value:.4g}") for name, value in sorted(told.metrics.items()))
            points[told.step] = EvaluationPoint(step=told.step, metrics=figures)
    if not points:
        return None
    history = tuple(points[step] for step in sorted(points, reverse=True)[:NEWEST_EVALUATIONS])
    return EvaluationHistory(latest=history[0], history=history)


def _newest(seen: Observation, world: World | None) -> sync.Progress | None:
    told = [report.progress for report in _reports(seen, world) if report.progress is not None]
    return max(told, key=lambda progress: (progress.loss is not None, progress.step), default=None)


def _reports(seen: Observation, world: World | None) -> Sequence[sync.Report]:
    if world is None:
        return ()
    return [agent.report for agent in seen.agents.values() if agent.report.world == world.number]


def _whole(value: float | None) -> int | None:
    return round(value) if value is not None and value < float("inf") else None
