"""A worker's part in one world: how far each of its ranks is, and what that means for the whole worker. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from everstep_agent.lastwords import Ending, describe, describe_word
from everstep_api.wire.ranks import Done, Fenced, FromRank, Left, Raised, Refused, Stepped
from everstep_api.wire.sync import Failure, FailureCause, Run
from everstep_api.wire.table import Input

_SAID = (FailureCause.REFUSED, FailureCause.FENCED)


class Stage(StrEnum):
    """How far a rank is."""

    INSIDE = "inside"
    LEFT = "left"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The world that a worker is in, from the moment when it hears of it."""

    run: Run
    place: int
    """Of this worker among the members."""
    stages: Mapping[int, Stage] = field(default_factory=dict)
    """By slot; empty until spares became ranks."""
    raised: Mapping[int, Raised] = field(default_factory=dict)
    has_stepped: bool = False
    failure: Failure | None = None
    stop_durable: bool | None = None
    """What the ranks were asked; absent: they were not asked to stop."""

    @classmethod
    def of(cls, run: Run, *, pod_uid: str) -> "Membership":
        """The part of the worker whose pod this is."""
        return cls(run=run, place=[member.pod_uid for member in run.members].index(pod_uid))

    @property
    def is_entered(self) -> bool:
        """Whether spares became ranks of this world."""
        return bool(self.stages)

    @property
    def outcome(self) -> Input | None:
        """What has become of the worker's part, once that is certain."""
        if self.failure is not None:
            return Input.LOST
        stages = set(self.stages.values())
        if stages == {Stage.DONE}:
            return Input.FINISHED
        has_left = bool(stages) and Stage.INSIDE not in stages
        never_began = not stages and self.stop_durable is not None
        return Input.LEFT if has_left or never_began else None

    def rank(self, slot: int) -> int:
        """Return the rank in the world of a slot of this worker."""
        return self.place * self.run.ranks_per_worker + slot

    def enter(self) -> "Membership":
        """All slots are inside."""
        return replace(self, stages=dict.fromkeys(range(self.run.ranks_per_worker), Stage.INSIDE))

    def hear(self, slot: int, message: FromRank) -> "Membership":
        """What a rank's word changes here."""
        match message:
            case Left():
                return self._move(slot, Stage.LEFT)
            case Done():
                return self._move(slot, Stage.DONE)
            case Raised():
                return replace(self, raised={**self.raised, slot: message})
            case Refused() | Fenced():
                return self.lose(describe_word(message, world=self.run.world, rank=self.rank(slot)))
            case Stepped():
                return self if self.has_stepped else replace(self, has_stepped=True)
            case _:
                return self

    def end(self, slot: int, ending: Ending) -> "Membership":
        """A rank's process is gone, which is a loss unless it had left or finished before."""
        if self.stages.get(slot) is not Stage.INSIDE:
            return self
        raised = self.raised.get(slot)
        return self.lose(describe(world=self.run.world, rank=self.rank(slot), ending=ending, raised=raised))

    def lose(self, failure: Failure) -> "Membership":
        """Keep the first failure, since others follow from it; but what a rank says itself goes before how it ended."""
        known = self.failure
        is_better = known is None or (known.cause not in _SAID and failure.cause in _SAID)
        return replace(self, failure=failure) if is_better else self

    def _move(self, slot: int, stage: Stage) -> "Membership":
        return replace(self, stages={**self.stages, slot: stage})
