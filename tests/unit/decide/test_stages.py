"""Where the time of a launch and of a recovery went."""

from everstep_api.history import LaunchMilliseconds, RecoveryMilliseconds
from everstep_api.wire.sync import AgentState, Failure, FailureCause, Phase, Progress
from tests.builders import a_job
from tests.unit.decide.play import Play

READY, STARTING, TRAINING = AgentState.READY, AgentState.STARTING, AgentState.TRAINING
STEPPED = Progress(step=1, total_steps=10)
KILLED = Failure(world=1, cause=FailureCause.RANK_KILLED, rank=1, signal=9)


def launch(play: Play) -> LaunchMilliseconds | None:
    return play.status.launch_milliseconds


def launched() -> Play:
    """A job of two workers whose stages take 1, 2, 3 … seconds, looked at after each."""
    play = Play(a_job().workers(2))
    play.look()
    play.now = play.status.start_time or play.now
    play.pod(0, node="node1").pod(1, node="node1")
    play.passing(1).look()
    play.passing(2).all_pods_run().look()
    play.passing(3).all_report(STARTING).look()
    play.passing(4).all_report(READY).look()
    play.passing(5).all_report(TRAINING, world=1, phase=Phase.LOAD).look()
    play.passing(6).all_report(TRAINING, world=1, phase=Phase.EVALUATE).look()
    play.passing(7).all_report(TRAINING, world=1, phase=Phase.TRAIN).look()
    play.passing(8).all_report(TRAINING, world=1, phase=Phase.TRAIN, progress=STEPPED).look()
    return play


def test_each_stage_of_a_launch_is_timed_at_the_look_that_finds_it_over() -> None:
    assert launch(launched()) == LaunchMilliseconds(
        scheduling=1000,
        starting=2000,
        reporting=3000,
        warming=4000,
        entering=5000,
        loading=6000,
        evaluating=7000,
        first_step=8000,
    )


def test_a_stage_lasts_until_the_last_worker_is_through() -> None:
    play = Play(a_job().workers(2))
    play.look()
    play.passing(2).pod(0, node="node1").look()
    assert launch(play) == LaunchMilliseconds()
    play.passing(2).pod(1, node="node1").look()
    told = launch(play)
    assert told is not None
    assert (told.scheduling is not None, told.starting) == (True, None)


def test_a_launch_is_timed_once_and_again_after_a_suspension() -> None:
    play = launched()
    before = launch(play)
    play.passing(60).steps(9)
    assert launch(play) == before
    play.change(a_job().workers(2).suspended()).look()
    assert launch(play) is None


def test_what_an_operator_did_not_see_counts_as_one_stage() -> None:
    """The stages add up to the whole, whoever looked when."""
    play = Play(a_job().workers(2))
    play.look()
    start = play.status.start_time
    assert start is not None
    play.all_pods_run().all_report(READY)
    play.passing(9).look()
    told = launch(play)
    assert told is not None
    whole = round((play.now - start).total_seconds() * 1000)
    assert (told.scheduling, told.starting, told.warming, told.entering) == (whole, 0, 0, None)


def test_a_recovery_is_timed_from_the_loss_to_the_first_new_step() -> None:
    play = Play(a_job().workers(2)).training(step=7)
    play.reports_as(1, TRAINING, world=1, failure=KILLED)
    play.passing(1).look()
    play.passing(2).all_report(TRAINING, world=2, phase=Phase.TRAIN).look()
    play.passing(3).all_report(TRAINING, world=2, phase=Phase.TRAIN, progress=STEPPED).look()
    play.passing(9).steps(9)
    assert play.status.recoveries is not None
    [entry] = play.status.recoveries.recent
    assert entry.milliseconds == RecoveryMilliseconds(agree=1000, restore=2000, first_step=3000)
