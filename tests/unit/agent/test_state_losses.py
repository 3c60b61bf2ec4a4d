"""What a worker tells of losses, and how it ends: event by event, without any process."""

import pytest

from everstep_agent.events import (
    EndRanks,
    Exit,
    ForkServerLost,
    SparesCounted,
    StopRanks,
)
from everstep_api.wire.ranks import (
    Fenced,
    FromRank,
    Left,
    Raised,
    Refused,
    Stepped,
)
from everstep_api.wire.sync import (
    AgentState,
    FailureCause,
    Pause,
    Stop,
    Wait,
)
from tests.unit.agent.story import END, NEAR_END, SIGTERM, WARM, YOU, Story, a_training_worker, end, hear, run, say


def test_a_loss_is_told_and_the_other_ranks_go_on_until_the_operator_answers() -> None:
    story = a_training_worker().then(end(1, signal=9))
    assert (story.state, story.orders) == (AgentState.TRAINING, ())
    failure = story.worker.failure
    assert failure is not None
    assert (failure.cause, failure.rank, failure.signal) == (FailureCause.RANK_KILLED, 3, 9)


def test_the_first_loss_of_a_world_is_told_since_others_follow_from_it() -> None:
    story = a_training_worker().then(end(1, signal=9), end(0, exit_code=1))
    assert story.worker.failure is not None
    assert story.worker.failure.rank == 3


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        pytest.param(Refused(sentence="no"), FailureCause.REFUSED, id="refused"),
        pytest.param(Fenced(world_seen=9), FailureCause.FENCED, id="fenced"),
    ],
)
def test_what_a_rank_says_itself_goes_before_how_another_ended(message: FromRank, cause: FailureCause) -> None:
    story = a_training_worker().then(end(1, exit_code=1), say(0, message), end(0, exit_code=3))
    assert story.worker.failure is not None
    assert story.worker.failure.cause is cause


def test_a_broken_connection_is_told_as_a_consequence() -> None:
    raised = Raised(
        exception="builtins.RuntimeError",
        message="[/pytorch/gloo/transport/tcp/pair.cc:534] Connection closed by peer",
        traceback="",
    )
    story = a_training_worker().then(say(1, raised), end(1, exit_code=1))
    assert story.worker.failure is not None
    assert (story.worker.failure.cause, story.worker.failure.exit_code) == (FailureCause.PEER_LOST, 1)


def test_a_failure_is_told_until_a_later_world_is_heard_of() -> None:
    story = a_training_worker().then(end(1, signal=9), hear(Wait()), WARM)
    assert (story.state, story.worker.failure is not None) == (AgentState.READY, True)
    assert story.then(run(2)).worker.failure is None


def test_a_failure_ends_with_a_later_world_of_others_too() -> None:
    story = a_training_worker().then(end(1, signal=9), run(2, YOU))
    assert (story.state, story.worker.failure) == (AgentState.STARTING, None)
    assert EndRanks in story.kinds


def test_what_ranks_of_an_older_world_say_is_dropped() -> None:
    story = a_training_worker().then(WARM, run(2), end(0, signal=9), say(1, Refused(sentence="no")))
    assert story.worker.failure is None


def test_after_sigterm_the_world_goes_on_until_it_is_paused() -> None:
    story = a_training_worker().then(SIGTERM)
    assert (story.state, story.orders, story.worker.spares) == (AgentState.STOPPING, (), 0)
    story.then(hear(Pause(world=1, durable=True)), say(0, Left(step=2)), say(1, Left(step=2)))
    assert story.orders == (Exit(code=0),)


def test_near_the_end_an_unpaused_world_is_paused_and_a_paused_one_is_left_alone() -> None:
    assert a_training_worker().then(SIGTERM, NEAR_END).orders == (StopRanks(durable=True),)
    assert a_training_worker().then(SIGTERM, hear(Pause(world=1)), NEAR_END).orders == ()


def test_at_the_end_of_the_grace_period_everything_ends() -> None:
    assert a_training_worker().then(SIGTERM, NEAR_END, END).orders == (EndRanks(), Exit(code=0))


def test_a_lost_world_does_not_keep_a_worker_that_shall_end() -> None:
    story = a_training_worker().then(end(0, signal=9), SIGTERM)
    assert story.orders == (EndRanks(), Exit(code=0))
    assert story.worker.failure is not None


def test_a_worker_that_has_not_entered_yet_ends_at_once() -> None:
    assert Story(run(1), SIGTERM).orders == (Exit(code=0),)


def test_a_fork_server_that_dies_beside_a_world_is_told_as_its_failure() -> None:
    story = a_training_worker().then(ForkServerLost(sentence="It died.", last_words="w"))
    assert story.orders == (EndRanks(), Exit(code=1))
    assert story.worker.failure is not None
    assert (story.worker.failure.message, story.worker.failure.last_words) == ("It died.", "w")


def test_spares_that_die_beside_a_running_world_do_not_end_it() -> None:
    failing = SparesCounted(warm=frozenset(), failures=3)
    story = a_training_worker().then(say(0, Stepped(step=1, seconds=1)), failing)
    assert (story.state, story.orders) == (AgentState.TRAINING, ())
    assert story.then(run(2)).kinds[-1] is Exit


def test_after_its_exit_is_ordered_nothing_is_ordered_any_more() -> None:
    story = a_training_worker().then(hear(Stop()))
    assert story.orders == (EndRanks(), Exit(code=0))
    assert story.then(hear(Stop()), SIGTERM, run(2), WARM).orders == ()
