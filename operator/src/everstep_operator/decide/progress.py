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


def checkpoints_of(seen: Observation) -> Checkpoints | None:
    """The newest durable checkpoint that any agent tells of, or that was known before."""
    old = seen.job.status.checkpoints
    told = [agent.report.durable for agent in seen.agents.values() if agent.report.durable is not None]
    if not told:
        return old
    newest = max(told, key=lambda checkpoint: checkpoint.step)
    if old is not None and old.durable is not None and old.durable.step >= newest.step:
        return old  # a world takes up the newest one, so that the step only grows
    durable = DurableCheckpoint(
        step=newest.step, uri=newest.uri, commit_time=datetime.fromisoformat(newest.commit_time)
    )
    return Checkpoints(durable=durable, memory=old.memory if old else None)


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
