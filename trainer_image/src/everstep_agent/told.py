"""What the ranks of a worker have told about their world, as the operator shall hear it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from everstep_api.wire.ranks import Done, EvaluationMade, FromRank, PhaseBegun, Planned, Saved, Stepped, TierTold
from everstep_api.wire.sync import DurableCheckpoint, Evaluated, MemoryTier, Phase, Progress, Resumed, StatePoint

_MOST_EVALUATIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The newest of each kind."""

    phase: Phase | None = None
    progress: Progress | None = None
    total_steps: int | None = None
    most_ranks: int | None = None
    resumed: Resumed | None = None
    durable: DurableCheckpoint | None = None
    memory: MemoryTier | None = None
    held: Mapping[int, StatePoint] = field(default_factory=dict)
    """By slot, the newest snapshot that is held by all who shall hold it."""
    evaluations: tuple[Evaluated, ...] = ()
    output: str | None = None

    def enter(self) -> "Told":
        """What still holds in a new world: the plan, checkpoints and evaluations are the job's and not a world's."""
        return replace(self, phase=Phase.ENTER, progress=None, resumed=None, memory=None, held={}, output=None)

    def hold(self, slot: int, point: StatePoint) -> "Told":
        """A slot's snapshot is held."""
        return replace(self, held={**self.held, slot: point})

    @property
    def snapshots(self) -> tuple[StatePoint, ...]:
        """The newest that all slots hold which keep any; those of a world differ by one at the most."""
        return (min(self.held.values(), key=lambda point: point.step),) if self.held else ()

    def hear(self, message: FromRank, *, is_first: bool) -> "Told":  # noqa: PLR0911 - one return a kind of message
        """What is known after a rank's message; phase and steps are told by the first rank of each worker."""
        match message:
            case PhaseBegun() if is_first:
                return replace(self, phase=message.phase)
            case Planned():
                return replace(self, total_steps=message.total_steps, most_ranks=message.most_ranks)
            case Stepped() if is_first:
                return replace(self, progress=_progress(message, self.total_steps))
            case Saved():
                return replace(self, durable=_newer(self.durable, message))
            case TierTold():
                return replace(self, memory=message.tier)
            case EvaluationMade():
                # After a resume the steps come again, and what was measured there before is void.
                kept = (made for made in self.evaluations if made.step < message.step)
                made = Evaluated(step=message.step, metrics=message.metrics)
                return replace(self, evaluations=(*kept, made)[-_MOST_EVALUATIONS:])
            case Done(output=str(output)):
                return replace(self, output=output)
            case _:
                return self


def _progress(message: Stepped, total_steps: int | None) -> Progress:
    is_measured = message.tokens is not None and message.seconds > 0
    return Progress(
        step=message.step,
        total_steps=total_steps,
        loss=message.loss,
        tokens_per_second=(message.tokens or 0) / message.seconds if is_measured else None,
        step_seconds=message.seconds,
        learning_rate=message.learning_rate,
        gradient_norm=message.gradient_norm,
    )


def _newer(known: DurableCheckpoint | None, saved: Saved) -> DurableCheckpoint:
    """World before step: a later world may have gone back to an earlier step, and that one is the truth."""
    point = saved.point
    if known is not None and (known.world, known.step) >= (point.world, point.step):
        return known
    return DurableCheckpoint(world=point.world, step=point.step, uri=saved.uri, commit_time=saved.commit_time)
