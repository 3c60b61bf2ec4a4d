"""Builds what an operator says of a job, for what people see of it."""

from datetime import UTC, datetime

from everstep_api.history import PastRecovery, Recoveries, RecoveryMilliseconds
from everstep_api.progress import EvaluationHistory, EvaluationPoint, Figure
from everstep_api.status import Display, TrainingJobStatus
from everstep_api.wire.sync import Progress

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_running_job() -> TrainingJobStatus:
    return TrainingJobStatus(phase="Running", display=Display(workers="2/2"))


def a_step(step: int, total: int | None = 100) -> Progress:
    return Progress(step=step, total_steps=total, loss=1.23456, tokens_per_second=1234.5, step_seconds=2.0)


def a_recovery(world: int, *, lost_steps: int | None = 3, first_step: int | None = 1100) -> PastRecovery:
    """Of worker 1, whose rank was killed."""
    spent = RecoveryMilliseconds(detect=100, agree=200, restore=600, first_step=first_step)
    return PastRecovery(
        time=NOON, world=world, cause="RankKilled", worker=1, counted=True, lost_steps=lost_steps, milliseconds=spent
    )


def recovering(*recent: PastRecovery) -> TrainingJobStatus:
    return a_running_job().model_copy(update={"recoveries": Recoveries(total=len(recent), recent=recent)})


def evaluated(*losses: tuple[int, str]) -> TrainingJobStatus:
    """The job with evaluations of step and loss, newest first as the status has them."""
    points = tuple(EvaluationPoint(step=step, metrics=(Figure(name="loss", value=loss),)) for step, loss in losses)
    return a_running_job().model_copy(update={"evaluation": EvaluationHistory(latest=points[0], history=points)})
