"""What there is to see of a job at one moment, in words: pure, from its status and its newest step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from everstep_api.history import PastRecovery, RecoveryMilliseconds
from everstep_api.progress import EvaluationPoint
from everstep_api.progress import Progress as KnownProgress
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import Phase, Progress

LOSS = "loss"

_DOING = {
    Phase.ENTER: "ranks meet",
    Phase.LOAD: "loading the model",
    Phase.PREPARE: "preparing the data",
    Phase.EVALUATE: "evaluating",
    Phase.SAVE: "saving",
    Phase.EXPORT: "writing the model",
}
"""What takes time and makes no steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One moment."""

    status: TrainingJobStatus
    told: Progress | None
    """The newest step, fresher than the status."""
    doing: Phase | None = None
    """What the ranks do now."""

    @classmethod
    def of(cls, status: TrainingJobStatus) -> Self:
        """What the status alone tells."""
        return cls(status=status, told=_told(status.progress) if status.progress else None)

    @property
    def phase(self) -> str:
        """The state in one word."""
        return self.status.phase or "Pending"

    @property
    def step(self) -> int:
        """The last step that is known."""
        if self.told is not None:
            return self.told.step
        return self.status.progress.step if self.status.progress else 0

    @property
    def total(self) -> int | None:
        """Steps in all, once they are known."""
        known = self.status.progress.total_steps if self.status.progress else None
        return (self.told.total_steps if self.told else None) or known

    @property
    def figures(self) -> str:
        """What is done if no steps are made, loss, speed, workers and time left, as far as they are known."""
        told = self.told
        parts = [_DOING[self.doing]] if self.doing in _DOING else []
        if told is not None and told.loss is not None:
            parts.append(f"loss {told.loss:.4g}")
        if told is not None and told.tokens_per_second is not None:
            parts.append(f"{told.tokens_per_second:,.0f} tokens/s")
        if self.status.display is not None and self.status.display.workers is not None:
            parts.append(f"{self.status.display.workers} workers")
        if self._left_s is not None:
            parts.append(f"{duration(self._left_s)} left")
        return "  ".join(parts)

    @property
    def line(self) -> str:
        """The moment in one line."""
        steps = f"step {self.step}/{self.total}" if self.total else f"step {self.step}"
        return f"{self.phase}: {steps}  {self.figures}".rstrip()

    @property
    def _left_s(self) -> float | None:
        if self.told is None or self.told.step_seconds is None or self.total is None:
            return None
        return max(0, self.total - self.step) * self.told.step_seconds


def news(before: TrainingJobStatus, now: TrainingJobStatus) -> Iterator[str]:
    """What became known between two looks at the status and is no condition: recoveries that are over, evaluations."""
    known = {recovery.world for recovery in _over(before)}
    for recovery in reversed(_over(now)):
        if recovery.world not in known:
            yield recovered(recovery)
    seen = set(before.evaluation.history) if before.evaluation else set()
    for point in reversed(now.evaluation.history if now.evaluation else ()):
        if point not in seen:
            yield evaluated(point)


def recovered(loss: PastRecovery) -> str:
    """What a loss cost."""
    who = "" if loss.worker is None else f" of worker {loss.worker}"
    spent = loss.milliseconds or RecoveryMilliseconds()
    parts = (spent.detect, spent.agree, spent.restore, spent.first_step)
    cost = f"Recovered from {loss.cause}{who} in {sum(part or 0 for part in parts) / 1000:.1f} s"
    match loss.lost_steps:
        case None:
            return f"{cost}."
        case 0:
            return f"{cost}; no step was lost."
        case 1:
            return f"{cost}; one step is done again."
        case steps:
            return f"{cost}; {steps} steps are done again."


def evaluated(point: EvaluationPoint) -> str:
    """What an evaluation found."""
    figures = ", ".join(f"{figure.name} {figure.value}" for figure in point.metrics)
    return f"Held out, after step {point.step}: {figures}."


def loss_of(point: EvaluationPoint) -> str | None:
    """The held-out loss, if it was computed."""
    return next((figure.value for figure in point.metrics if figure.name == LOSS), None)


def duration(seconds: float) -> str:
    """A time for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _told(progress: KnownProgress) -> Progress:
    """The step that the status knows of, as its rank told it."""
    loss = next((float(figure.value) for figure in progress.metrics if figure.name == LOSS), None)
    left, left_s = (progress.total_steps or 0) - progress.step, progress.estimated_remaining_seconds
    return Progress(
        step=progress.step,
        total_steps=progress.total_steps,
        loss=loss,
        tokens_per_second=progress.tokens_per_second,
        step_seconds=left_s / left if left > 0 and left_s is not None else None,
    )


def _over(status: TrainingJobStatus) -> tuple[PastRecovery, ...]:
    """The losses after which a step was made."""
    recent = status.recoveries.recent if status.recoveries else ()
    return tuple(loss for loss in recent if loss.milliseconds is not None and loss.milliseconds.first_step is not None)
