"""Who trains with whom, and when."""

import pytest

from everstep_api.conditions import ConditionType, Reason
from everstep_api.wire.sync import AgentState, Failure, FailureCause, Phase, Progress, Resumed, Run
from everstep_operator.decide.facts import Ending
from tests.builders import a_job
from tests.unit.decide.play import JOB_UID, Play

READY, TRAINING, STARTING = AgentState.READY, AgentState.TRAINING, AgentState.STARTING
KILLED = Failure(world=1, cause=FailureCause.RANK_KILLED, rank=1, signal=9)


def test_a_reason_that_a_newer_operator_gave_stops_no_decision() -> None:
    """A reason is a word that may be added, as after a rollback; the next look replaces it by one of ours."""
    play = Play(a_job())
    play.look()
    newer = tuple(condition.model_copy(update={"reason": "Novel"}) for condition in play.status.conditions)
    play.status = play.status.model_copy(update={"conditions": newer})
    play.look()
    assert play.said(ConditionType.RUNNING)[1] is Reason.STARTING
    assert play.status.phase == "Starting"


def test_a_job_gets_as_many_pods_as_it_wants() -> None:
    play = Play(a_job().workers(3))
    decision = play.look()
    assert [pod.worker for pod in decision.create] == [0, 1, 2]
    assert decision.is_rehearsed
    assert play.said(ConditionType.ACCEPTED)[0] == "True"
    assert not play.look().create, "pods that exist are not made again"


def test_the_first_world_starts_when_all_workers_are_warm() -> None:
    play = Play(a_job().workers(2))
    play.look()
    play.all_pods_run().reports_as(0, READY).reports_as(1, STARTING)
    play.look()
    assert play.members == []
    assert play.actions() == {0: "wait", 1: "wait"}
    assert play.said(ConditionType.RUNNING)[1:] == (Reason.STARTING, "1 of 2 workers ready to train.")
    play.reports_as(1, READY)
    play.look()
    assert (play.world, play.members) == (1, [0, 1])
    run = play.told[play.uid(0)]
    assert isinstance(run, Run)
    assert [member.address for member in run.members] == ["10.0.0.0:8470", "10.0.0.1:8470"]


@pytest.mark.parametrize(
    ("waited_s", "members"),
    [pytest.param(9, [], id="one more may come"), pytest.param(10, [0], id="nobody came for 10 s")],
)
def test_a_world_starts_with_fewer_once_nobody_has_come_for_a_while(waited_s: int, members: list[int]) -> None:
    play = Play(a_job().workers(2, at_least=1))
    play.look()
    play.all_pods_run().reports_as(0, READY)
    play.look()
    play.passing(waited_s).heartbeat()
    play.look()
    assert play.members == members


def test_a_killed_rank_brings_the_next_world_in_the_write_that_counts_it() -> None:
    play = Play(a_job().workers(2)).training(step=7)
    play.reports_as(1, TRAINING, world=1, failure=KILLED)
    play.look()
    assert (play.world, play.members) == (2, [0, 1])
    assert play.status.recoveries is not None
    [entry] = play.status.recoveries.recent
    assert (entry.world, entry.cause, entry.worker, entry.counted) == (1, "RankKilled", 1, True)
    assert play.said(ConditionType.RUNNING)[1] is Reason.RECOVERING
    play.look()
    assert play.status.recoveries.total == 1, "the same failure is told until the next world is heard of"
    assert play.world == 2


def test_a_recovery_is_priced_once_it_is_known_where_the_work_went_on() -> None:
    play = Play(a_job().workers(2)).training(step=7)
    play.reports_as(1, TRAINING, world=1, failure=KILLED)
    play.look()
    resumed = Resumed(world=1, step=4, tier="Durable")
    play.reports_as(0, TRAINING, world=2, phase=Phase.LOAD, resumed=resumed).reports_as(1, TRAINING, world=2)
    play.look()
    assert play.status.world is not None
    assert play.status.world.resumed_from is not None
    assert play.status.world.resumed_from.step == 4
    assert play.status.recoveries is not None
    assert play.status.recoveries.recent[0].lost_steps == 3


def test_a_lost_worker_is_replaced_and_costs_no_budget() -> None:
    play = Play(a_job().workers(2)).training()
    play.vanish(1)
    decision = play.look()
    assert [pod.worker for pod in decision.create] == [1]
    assert play.world == 1, "two are needed"
    assert play.actions() == {0: "wait"}
    assert play.status.recoveries is not None
    assert (play.status.recoveries.recent[0].cause, play.status.recoveries.window) == ("WorkerLost", None)
    play.all_pods_run().reports_as(0, READY, world=1).reports_as(1, READY)
    play.look()
    assert (play.world, play.members) == (2, [0, 1])


def test_a_restarted_agent_has_lost_its_place_in_the_world() -> None:
    play = Play(a_job().workers(2)).training()
    play.passing(1).reports_as(1, STARTING, boot="second", world=1)
    play.look()
    assert play.status.recoveries is not None
    assert play.status.recoveries.recent[0].cause == "WorkerRestarted"
    assert play.world == 1
    play.reports_as(1, READY, boot="second", world=1).heartbeat(0)
    play.look()
    assert (play.world, play.members) == (2, [0, 1])


def test_a_member_whose_container_has_ended_is_lost_before_it_is_started_again() -> None:
    play = Play(a_job().workers(2)).training()
    killed = Ending(exit_code=137, reason="Error")
    play.reports_as(0, TRAINING, world=1, failure=Failure(world=1, cause=FailureCause.PEER_LOST, rank=0))
    play.pod(1, started=None, restarts=1, last_ending=killed).look()
    assert play.status.recoveries is not None
    [loss] = play.status.recoveries.recent
    assert (loss.cause, loss.worker) == ("WorkerRestarted", 1)
    play.passing(1).heartbeat(0).pod(1, started=play.now).look()
    assert play.world == 1, "what was heard of worker 1 was another process"
    play.passing(1).heartbeat(0).reports_as(1, READY, boot="second", world=1).look()
    assert (play.world, play.members) == (2, [0, 1])


def test_who_is_left_goes_on_at_once_and_does_not_wait_for_a_container_that_starts_again() -> None:
    play = Play(a_job().workers(2, at_least=1)).training()
    killed = Ending(exit_code=137, reason="Error")
    play.pod(1, started=None, restarts=1, last_ending=killed).look()
    assert (play.world, play.members) == (2, [0])


def test_a_new_leader_that_has_heard_nobody_tells_members_nothing() -> None:
    play = Play(a_job().workers(2)).training()
    play.reports.forget("0b5c1d1e-0000-4000-8000-000000000001")
    play.leading_since = play.passing(100).now
    play.look()
    assert play.world == 1
    assert play.actions() == {}
    play.passing(10)
    play.look()
    assert play.world == 1, "silence alone is nothing"


def test_a_silent_member_of_a_standing_world_is_lost_after_ten_seconds() -> None:
    play = Play(a_job().workers(3)).training()
    for _ in range(11):
        play.passing(1).heartbeat(0, 1)
        play.look()
    assert play.status.recoveries is not None
    assert play.status.recoveries.recent[0].cause == "WorkerSilent"


def test_a_world_that_advances_has_no_silent_members() -> None:
    play = Play(a_job().workers(3)).training()
    for step in range(30):
        play.passing(1).reports_as(0, TRAINING, world=1, phase=Phase.TRAIN, progress=Progress(step=step), ranks=1)
        play.look()
    assert play.status.recoveries is None


def test_a_broken_connection_waits_for_its_cause() -> None:
    """The neighbour of a killed worker reports first; the loss of the worker is the cause and costs no budget."""
    play = Play(a_job().workers(2, at_least=1)).training()
    play.reports_as(0, TRAINING, world=1, failure=Failure(world=1, cause=FailureCause.PEER_LOST, rank=0))
    play.look()
    assert (play.world, play.status.recoveries) == (1, None)
    play.passing(0.2).vanish(1)
    play.look()
    assert play.status.recoveries is not None
    assert play.status.recoveries.recent[0].cause == "WorkerLost"


def test_a_broken_connection_without_a_cause_counts_after_a_second() -> None:
    play = Play(a_job().workers(2)).training()
    play.reports_as(0, TRAINING, world=1, failure=Failure(world=1, cause=FailureCause.PEER_LOST, rank=0))
    play.look()
    play.passing(1).heartbeat()
    play.look()
    assert play.status.recoveries is not None
    assert (play.status.recoveries.recent[0].cause, play.world) == ("PeerLost", 2)


def test_a_world_whose_number_is_taken_is_followed_by_a_greater_one() -> None:
    play = Play(a_job().workers(2)).training()
    fenced = Failure(world=1, cause=FailureCause.FENCED, rank=0, world_seen=6)
    play.reports_as(0, TRAINING, world=1, failure=fenced)
    play.look()
    assert play.world == 7
    assert play.status.recoveries is not None
    assert play.status.recoveries.window is None


def test_a_world_has_no_more_ranks_than_a_step_has_micro_batches() -> None:
    play = Play(a_job().workers(3)).warm()
    play.all_report(READY, ranks=2, most_ranks=5)
    play.look()
    assert play.members == [0, 1]
    assert play.actions() == {0: "run", 1: "run", 2: "wait"}
    for worker in (0, 1):
        play.reports_as(worker, TRAINING, world=1, ranks=2, most_ranks=5, progress=Progress(step=1))
    play.look()
    assert play.said(ConditionType.RUNNING)[2].startswith(
        "World 1 trains with 2 workers. Of 3 wanted it can use 2, since a step has no more micro-batches;"
    )


def test_a_member_that_stops_is_paused_with_the_others() -> None:
    play = Play(a_job().workers(2, at_least=1)).training()
    play.pod(1, is_deleted=True).reports_as(1, AgentState.STOPPING, world=1)
    play.look()
    assert play.told[play.uid(0)].kind == "pause"


def test_a_world_that_not_all_have_entered_is_not_waited_for() -> None:
    """Who has not entered does not do so for a pause, and the others could not make a step without him."""
    play = Play(a_job().workers(2)).warm()
    play.look()
    play.reports_as(0, TRAINING, world=1, phase=Phase.ENTER)
    play.change(a_job().workers(1)).look()
    assert (play.world, play.members, play.status.recoveries) == (2, [0], None)
    assert play.actions() == {0: "run", 1: "wait"}


def test_a_deleted_pod_whose_node_is_gone_is_not_waited_for_longer_than_pods_have() -> None:
    """It stays for ever: the kubelet that would end it is gone, too. Nobody else of its world could tell of it."""
    play = Play(a_job().workers(1)).training()
    play.reports.forget(JOB_UID)
    play.leading_since = play.now
    play.pod(0, is_deleted=True)
    assert play.look().create
    play.passing(49).look()
    assert play.status.recoveries is None
    play.passing(1).look()
    assert play.status.recoveries is not None
    [loss] = play.status.recoveries.recent
    assert (loss.cause, loss.counted) == ("PauseTimedOut", False)
