"""All ranks take the same snapshots, and overwrite one only when the next is held by all."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from everstep_api.wire.ranks import Held, TierTold
from everstep_api.wire.sync import MemoryTier
from everstep_trainer.parallel.reduction import Holding
from everstep_trainer.parallel.world import World
from everstep_trainer.state.manifest import Counters
from everstep_trainer.state.memory import Kept
from everstep_trainer.state.tier import Tier, interval


@dataclass(slots=True)
class Files:
    """Takes nothing, and remembers what it was asked for."""

    asked: list[int | str] = field(default_factory=list)
    is_full: bool = False
    cost_s: float = 0.001

    def take(self, step: int, kept: Kept) -> float:  # noqa: ARG002 - as files have it
        if self.is_full:
            raise OSError("No space left on device")
        self.asked.append(step)
        return self.cost_s

    def keep_last(self) -> None:
        self.asked.append("keep")

    def check(self) -> None:
        return


@dataclass(slots=True)
class Line:
    """An agent that says what it is told to say."""

    says: Held | None = None
    told: list[MemoryTier] = field(default_factory=list)

    def held(self, step: int, *, within_s: float = 0.0) -> Held | None:  # noqa: ARG002 - as lines have it
        return self.says if self.says is not None and self.says.step == step else None

    def tell(self, message: TierTold) -> None:
        self.told.append(message.tier)


def a_kept() -> Kept:
    return Kept(counters=Counters(step=1, updates=1, next_row=1))


@dataclass(slots=True)
class Rank:
    """The only rank of a world."""

    every: int = 1
    files: Files = field(default_factory=Files)
    line: Line = field(default_factory=Line)
    tier: Tier = field(init=False)

    def __post_init__(self) -> None:
        self.tier = Tier(world=World.alone(), line=self.line, files=self.files, every=self.every)

    def step(self, step: int, *, says: Held | None = None) -> None:
        self.line.says = says
        of_all = self.tier.holding(step_s=0.1, recorded_step=0)
        self.tier.take_if_due(step, of_all, a_kept)


def test_a_file_is_kept_once_all_hold_the_last_snapshot() -> None:
    rank = Rank()
    rank.step(1)
    rank.step(2, says=Held(step=1))
    rank.step(3, says=Held(step=2))
    assert rank.files.asked == [1, "keep", 2, "keep", 3]
    assert rank.tier.committed_step == 2


def test_one_that_is_due_while_the_last_is_on_its_way_is_skipped_and_counted() -> None:
    rank = Rank()
    rank.step(1)
    rank.step(2)
    rank.step(3, says=Held(step=1))
    assert rank.files.asked == [1, "keep", 3]
    assert rank.tier.skipped == 1


def test_one_that_no_buddy_took_is_taken_again_over_itself() -> None:
    rank = Rank()
    rank.step(1)
    rank.step(2, says=Held(step=1, is_held=False))
    assert rank.files.asked == [1, 2], "the file before it, if there was one, is still whole"
    assert rank.tier.committed_step is None


def test_another_rank_that_waits_makes_all_wait() -> None:
    tier = Rank().tier
    tier.take_if_due(1, Holding(settled=1, held=1), a_kept)
    tier.take_if_due(2, Holding(settled=0.5, held=0.5), a_kept)
    assert (tier.last_step, tier.committed_step, tier.skipped) == (1, None, 1)


@pytest.mark.parametrize(("every", "wanted"), [(2, [1, 3, 5]), (3, [1, 4])])
def test_the_interval_is_as_the_spec_has_it(every: int, wanted: Sequence[int]) -> None:
    rank = Rank(every=every)
    for step in range(1, 6):
        rank.step(step, says=Held(step=rank.tier.last_step or 0))
    assert [step for step in rank.files.asked if step != "keep"] == wanted


def test_a_full_volume_costs_the_snapshot_and_nothing_else() -> None:
    rank = Rank()
    rank.step(1)
    rank.files.is_full = True
    rank.step(2, says=Held(step=1))
    rank.step(3)
    assert rank.files.asked == [1, "keep"]
    assert not rank.tier.hold(3, a_kept), "the storage has to do"
    rank.files.is_full = False
    rank.step(4)
    assert rank.files.asked == [1, "keep", 4]


def test_who_leaves_has_this_very_step_held() -> None:
    rank = Rank(every=5)
    rank.step(1)
    rank.step(2, says=Held(step=1))
    assert not rank.tier.hold(3, a_kept), "no buddy answers"
    rank.line.says = Held(step=3)
    assert rank.tier.hold(3, a_kept)


def test_how_often_is_told_once_and_again_when_it_has_changed_much() -> None:
    rank = Rank(every=4)
    for step in range(1, 4):
        rank.step(step)
    assert rank.line.told == [MemoryTier(every_steps=4)]


def test_the_cost_has_the_copies_of_the_agents_in_it() -> None:
    rank = Rank()
    rank.step(1)
    assert rank.tier.cost_s == rank.files.cost_s
    rank.step(2, says=Held(step=1, seconds=1.0))
    assert rank.tier.cost_s > 0.3 * 1.0


@pytest.mark.parametrize(
    ("cost_s", "step_s", "wanted"),
    [
        pytest.param(0.0, 0.05, 1, id="not known yet"),
        pytest.param(0.0004, 0.05, 1, id="cheaper than a hundredth of a step"),
        pytest.param(0.0021, 0.05, 5, id="rounded up"),
        pytest.param(1.0, 0.0, 1, id="no step was timed yet"),
    ],
)
def test_the_interval_keeps_the_cost_below_a_hundredth(cost_s: float, step_s: float, wanted: int) -> None:
    assert interval(Holding(snapshot_seconds=3 * cost_s, step_seconds=3 * step_s)) == wanted
