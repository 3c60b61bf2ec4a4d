"""What the workers' memory holds is told, and a planned change leaves the state there when it outlives the change."""

import pytest

from everstep_api.conditions import ConditionType
from everstep_api.wire.sync import AgentState, Failure, FailureCause, MemoryTier, Pause, StatePoint, Wait
from tests.builders import JobBuilder, a_job
from tests.unit.decide.play import Play

READY, TRAINING, STOPPING = AgentState.READY, AgentState.TRAINING, AgentState.STOPPING


def holding(play: Play, *steps: int) -> Play:
    """Each member in turn holds the snapshot of a step."""
    tier = MemoryTier(every_steps=2)
    for worker, step in zip(play.members, steps, strict=True):
        play.reports_as(worker, TRAINING, world=play.world, snapshots=(StatePoint(world=1, step=step),), memory=tier)
    return play


def pauses(play: Play) -> set[bool]:
    """Whether the world was told to pause durably; empty when it was not told to pause."""
    return {action.durable for action in play.told.values() if isinstance(action, Pause)}


def test_the_status_has_the_newest_step_that_all_members_hold() -> None:
    play = Play(a_job().workers(2)).training()
    holding(play, 6, 8).look()
    assert play.status.checkpoints is not None
    assert play.status.checkpoints.memory is not None
    assert (play.status.checkpoints.memory.step, play.status.checkpoints.memory.every_steps) == (6, 2)


def test_the_status_says_why_there_are_none() -> None:
    play = Play(a_job().workers(2)).training()
    play.reports_as(0, TRAINING, world=1, memory=MemoryTier(message="2,000 MiB are needed and 100 are left.")).look()
    assert play.status.checkpoints is not None
    assert play.status.checkpoints.memory is not None
    assert play.status.checkpoints.memory.step is None
    assert play.status.checkpoints.memory.message == "2,000 MiB are needed and 100 are left."


def test_a_recovery_says_the_step_that_memory_has() -> None:
    play = Play(a_job().workers(2)).training(step=8)
    holding(play, 7, 7).look()
    failure = Failure(world=1, cause=FailureCause.RANK_KILLED, rank=1, signal=9)
    snapshots = (StatePoint(world=1, step=7),)
    tier = MemoryTier(every_steps=2)
    play.reports_as(1, TRAINING, world=1, snapshots=snapshots, memory=tier, failure=failure).look()
    play.look()
    assert "World 2 takes up step 8 with 2 workers." in play.said(ConditionType.RUNNING)[2]


WITHOUT_COPIES = ("spec.checkpoint.snapshots.copies", 0)
SPREAD_OVER_NOTHING = ("spec.recipe.sharding", "none")


@pytest.mark.parametrize(
    ("job", "then", "is_durable"),
    [
        pytest.param(a_job().workers(3), a_job().workers(2), False, id="one of three leaves, and a buddy has its part"),
        pytest.param(a_job().workers(4), a_job().workers(2), True, id="two leave, who may hold each other's only copy"),
        pytest.param(a_job().workers(2), a_job().workers(2).suspended(), True, id="all leave"),
        pytest.param(
            a_job().workers(3).setting(*WITHOUT_COPIES),
            a_job().workers(2).setting(*WITHOUT_COPIES),
            True,
            id="one leaves, and nobody has a copy",
        ),
        pytest.param(
            a_job().workers(4).setting(*SPREAD_OVER_NOTHING),
            a_job().workers(1).setting(*SPREAD_OVER_NOTHING),
            False,
            id="three of four leave, and each has everything",
        ),
    ],
)
def test_a_pause_is_durable_unless_those_who_stay_hold_the_state(
    job: JobBuilder, then: JobBuilder, *, is_durable: bool
) -> None:
    play = Play(job).training()
    holding(play, *(6 for _ in play.members)).look()
    play.change(then).look()
    assert pauses(play) == {is_durable}


def test_a_pause_is_durable_where_somebody_holds_nothing() -> None:
    play = Play(a_job().workers(3)).training()
    holding(play, 6, 6, 6).reports_as(1, TRAINING, world=1).look()
    play.change(a_job().workers(2)).look()
    assert pauses(play) == {True}


def test_a_worker_that_was_told_to_end_leaves_its_state_with_its_buddy() -> None:
    play = Play(a_job().workers(3)).training()
    holding(play, 6, 6, 6).look()
    play.reports_as(2, STOPPING, world=1, snapshots=(StatePoint(world=1, step=6),)).look()
    assert pauses(play) == {False}


def test_who_waits_beside_a_world_hears_which_it_is() -> None:
    """Else nobody could read the snapshots that it holds."""
    play = Play(a_job().workers(3, at_least=2)).training()
    play.vanish(2).look()
    play.all_pods_run().reports_as(2, AgentState.STARTING)
    play.reports_as(0, READY, world=1).reports_as(1, READY, world=1).look()
    assert (play.world, play.members) == (2, [0, 1])
    assert play.told[play.uid(2)] == Wait(world=2)
