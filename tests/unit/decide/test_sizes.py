"""How many workers a world has, and who of them."""

from datetime import timedelta
from typing import Any

import pytest

from everstep_api.conditions import ConditionType, Reason
from everstep_api.history import AvoidedNode
from everstep_api.wire.sync import AgentState, Pause, Phase, Progress
from tests.builders import a_job
from tests.unit.decide.play import Play

READY, TRAINING, STARTING = AgentState.READY, AgentState.TRAINING, AgentState.STARTING


def test_an_elastic_job_goes_on_at_once_with_who_is_left_and_grows_after_a_minute() -> None:
    play = Play(a_job().workers(2, at_least=1)).training()
    play.vanish(1)
    play.look()
    assert (play.world, play.members) == (2, [0])
    play.steps(9)
    play.all_pods_run().reports_as(1, READY)
    play.look()
    assert play.actions() == {0: "run", 1: "wait"}, "it has just shrunk"
    play.passing(61).heartbeat()
    play.look()
    assert isinstance(play.told[play.uid(0)], Pause)
    assert play.said(ConditionType.RUNNING)[1] is Reason.RESIZING
    play.reports_as(0, STARTING, world=2)
    play.look()
    assert play.world == 2, "its spares are not warm yet"
    play.reports_as(0, READY, world=2)
    play.look()
    assert (play.world, play.members) == (3, [0, 1])
    assert play.status.recoveries is not None
    assert play.status.recoveries.total == 1, "a planned change is no loss"


def test_a_world_grows_at_once_when_the_spec_asks_for_more() -> None:
    play = Play(a_job().workers(1)).training()
    play.change(a_job().workers(3, at_least=1)).look()
    play.all_pods_run().reports_as(1, READY).look()
    assert play.actions()[0] == "run", "one more is about to come, and both shall cost one pause"
    play.passing(2).heartbeat().reports_as(2, READY).look()
    assert play.actions()[0] == "pause"
    play.reports_as(0, READY, world=1).look()
    assert (play.world, play.members) == (2, [0, 1, 2])


def test_a_world_grows_with_some_of_those_asked_for_when_the_others_do_not_come() -> None:
    play = Play(a_job().workers(1)).training()
    play.change(a_job().workers(3, at_least=1)).look()
    play.all_pods_run().reports_as(1, READY).look()
    play.passing(10).heartbeat(0, 1).look()
    assert play.actions()[0] == "pause"
    play.reports_as(0, READY, world=1).look()
    assert (play.world, play.members) == (2, [0, 1])
    play.steps(9)
    play.passing(2).heartbeat().reports_as(2, READY).look()
    assert play.actions()[0] == "run", "the next growth is not asked for anew"
    play.passing(60).heartbeat().look()
    assert play.actions()[0] == "pause"


def test_a_step_with_too_few_micro_batches_is_no_reason_to_grow() -> None:
    play = Play(a_job().workers(2)).training()
    for worker in (0, 1):
        play.reports_as(worker, TRAINING, world=1, phase=Phase.TRAIN, progress=Progress(step=8), most_ranks=2)
    play.change(a_job().workers(3)).look()
    play.all_pods_run().reports_as(2, READY).look()
    assert play.actions() == {0: "run", 1: "run", 2: "wait"}


@pytest.mark.parametrize(
    ("facts", "leaves"),
    [
        pytest.param({}, 2, id="the newest"),
        pytest.param({"node": "bad"}, 0, id="on an avoided node"),
        pytest.param({"started": None, "phase": "Pending"}, 0, id="not running yet"),
    ],
)
def test_of_workers_that_are_too_many_the_one_with_the_least_to_lose_leaves(facts: dict[str, Any], leaves: int) -> None:
    play = Play(a_job().workers(3, at_least=1))
    play.look()
    play.all_pods_run().pod(0, **facts)
    node = AvoidedNode(name="bad", reason="three failures", until=play.now + timedelta(hours=1))
    play.status = play.status.model_copy(update={"avoided_nodes": (node,)})
    play.change(a_job().workers(2, at_least=1))
    assert [pod.uid for pod in play.look().delete] == [play.uid(leaves)]


def test_fewer_workers_are_wanted_and_the_newest_leaves_after_the_next_world_stands() -> None:
    play = Play(a_job().workers(3)).training()
    play.change(a_job().workers(2))
    decision = play.look()
    assert not decision.delete
    assert set(play.actions().values()) == {"pause"}
    play.all_report(READY, world=1)
    decision = play.look()
    assert (play.world, play.members) == (2, [0, 1])
    assert (decision.delete, decision.look_again_s) == ((), 0), "it stands once it is written"
    assert [pod.uid for pod in play.look().delete] == [play.uid(2)]


def test_when_most_members_fall_silent_nobody_is_lost() -> None:
    play = Play(a_job().workers(3)).training()
    for _ in range(60):
        play.passing(1).heartbeat(0)
        play.look()
    assert play.status.recoveries is None
    assert play.world == 1
