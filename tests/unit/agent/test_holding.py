"""What an agent orders for its ranks' snapshots, and what it reports of them."""

from dataclasses import replace

from everstep_agent import report
from everstep_agent.events import CopySnapshot, SnapshotHeld
from everstep_agent.report import Identity
from everstep_agent.sync import _essence
from everstep_api.wire.ranks import SnapshotTaken, TierTold
from everstep_api.wire.sync import MemoryTier, Report, StatePoint
from tests.unit.agent.story import Story, a_training_worker, run, say

SIXTH, SEVENTH = StatePoint(world=1, step=6), StatePoint(world=1, step=7)
TAKEN = SnapshotTaken(point=SIXTH, name="me.0.A", copies=1)


def told(story: Story) -> Report:
    return report.write(story.worker, Identity(boot_id="b", worker=1, node="n", address="10.0.0.2:8470"))


def test_a_snapshot_is_brought_to_the_buddies_of_its_world() -> None:
    story = a_training_worker().then(say(0, TAKEN))
    (order,) = story.orders
    assert isinstance(order, CopySnapshot)
    assert (order.run.world, order.place, order.slot, order.taken) == (1, 1, 0, TAKEN)


def test_a_snapshot_of_a_rank_that_was_ended_is_brought_to_nobody() -> None:
    assert a_training_worker(world=2).then(say(0, TAKEN, world=1)).orders == ()


def test_the_report_has_the_newest_that_all_ranks_of_the_worker_have_held() -> None:
    story = a_training_worker().then(say(0, TierTold(tier=MemoryTier(every_steps=1))))
    assert told(story).snapshots == ()
    story.then(SnapshotHeld(world=1, slot=0, point=SEVENTH), SnapshotHeld(world=1, slot=1, point=SIXTH))
    assert told(story).snapshots == (SIXTH,)
    assert told(story).memory == MemoryTier(every_steps=1)
    story.then(run(2))
    assert (told(story).snapshots, told(story).memory) == ((), None), "of another world nothing is held yet"


def test_a_snapshot_is_as_little_urgent_as_a_step() -> None:
    before = told(a_training_worker())
    assert _essence(before) == _essence(replace(before, snapshots=(SEVENTH,)))
