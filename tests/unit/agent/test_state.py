"""What an agent decides, event by event, without a process or a socket."""

from dataclasses import replace
from typing import Any

import pytest

from everstep_agent.events import (
    Ended,
    EndRanks,
    EnterWorld,
    Event,
    Exit,
    ForkServerLost,
    GracePassed,
    Heard,
    Order,
    RememberWorld,
    Said,
    ShareStore,
    SparesCounted,
    StopRanks,
    StoreFound,
)
from everstep_agent.lastwords import Ending
from everstep_agent.report import Identity, write
from everstep_agent.state import Worker, advance
from everstep_api.wire.ranks import (
    Done,
    Fenced,
    FromRank,
    JoinStore,
    Left,
    PhaseBegun,
    Raised,
    Refused,
    Stepped,
    StoreOpened,
)
from everstep_api.wire.sync import (
    Action,
    AgentState,
    Directive,
    FailureCause,
    Finish,
    Member,
    Pause,
    Phase,
    Resumed,
    Run,
    Stop,
    Wait,
)
from everstep_api.wire.table import Input

SPEC = {"workers": {"processesPerWorker": 2}}
ME = Member(worker=1, pod_uid="me", address="10.0.0.2:8470", node="n")
YOU = Member(worker=0, pod_uid="you", address="10.0.0.1:8470", node="n")
WARM = SparesCounted(warm=frozenset({0, 1}), failures=0)
SIGTERM = GracePassed(cause=Input.SIGNAL)
NEAR_END = GracePassed(cause=Input.NEAR_END)
END = GracePassed(cause=Input.END)


def hear(action: Action) -> Heard:
    return Heard(directive=Directive(digest="d", action=action, spec=SPEC))


def run(world: int, *members: Member) -> Heard:
    members = members or (YOU, ME)
    return hear(Run(world=world, members=members, ranks_per_worker=2, secret="s"))  # noqa: S106 - nobody's


def say(slot: int, message: FromRank, world: int = 1) -> Said:
    return Said(world=world, slot=slot, message=message)


def end(slot: int, world: int = 1, **how: Any) -> Ended:
    return Ended(world=world, slot=slot, ending=Ending(**how))


class Story:
    """A worker that has lived through events, and what its agent ordered in the last of them."""

    def __init__(self, *events: Event) -> None:
        self.worker = Worker(pod_uid="me", host="10.0.0.2", devices=0)
        self.orders: tuple[Order, ...] = ()
        self.then(*events)

    def then(self, *events: Event) -> "Story":
        for event in events:
            self.worker, self.orders = advance(self.worker, event)
        return self

    @property
    def state(self) -> AgentState:
        return self.worker.state

    @property
    def kinds(self) -> list[type[Order]]:
        return [type(order) for order in self.orders]


def a_ready_worker() -> Story:
    return Story(hear(Wait()), WARM)


def a_training_worker(world: int = 1) -> Story:
    return a_ready_worker().then(run(world), say(0, PhaseBegun(phase=Phase.TRAIN), world))


def test_a_worker_is_ready_when_all_its_spares_are_warm() -> None:
    story = Story(hear(Wait()), SparesCounted(warm=frozenset({0}), failures=0))
    assert story.state is AgentState.STARTING
    assert story.then(WARM).state is AgentState.READY
    assert story.then(SparesCounted(warm=frozenset({1}), failures=1)).state is AgentState.STARTING


def test_spares_are_made_when_the_operator_has_told_how_many() -> None:
    assert Story().worker.spares == 0
    assert Story(hear(Wait())).worker.spares == 2


@pytest.mark.parametrize(("wanted", "ranks"), [(3, 3), ("auto", 4)])
def test_a_worker_has_a_rank_for_each_device_unless_the_job_says_how_many(wanted: Any, ranks: int) -> None:
    spec = {"workers": {"processesPerWorker": wanted}}
    assert Worker(pod_uid="me", host="h", devices=4, spec=spec).ranks == ranks


def test_a_warm_worker_enters_at_once_with_its_place_and_the_spec() -> None:
    story = a_ready_worker().then(run(1))
    assert story.kinds == [RememberWorld, EnterWorld]
    entering = story.orders[1]
    assert isinstance(entering, EnterWorld)
    assert (entering.place, entering.spec) == (1, SPEC)
    assert write(story.worker, Identity(boot_id="b", worker=1, node="n", address="a")).phase is Phase.ENTER


def test_a_cold_worker_enters_as_soon_as_it_is_warm() -> None:
    story = Story(run(1))
    assert (story.state, story.kinds) == (AgentState.TRAINING, [RememberWorld])
    assert story.worker.spares == 2
    assert story.then(WARM).kinds == [EnterWorld]


def test_old_ranks_are_ended_before_a_later_world_is_entered() -> None:
    story = a_training_worker().then(say(0, Stepped(step=1, seconds=1)), WARM, run(2))
    assert story.kinds == [EndRanks, RememberWorld, EnterWorld]


def test_spares_are_made_after_the_first_step_and_not_during_the_entry() -> None:
    story = a_training_worker()
    assert story.worker.spares == 0
    assert story.then(say(1, Stepped(step=1, seconds=1))).worker.spares == 2


def test_spares_are_made_at_once_when_a_rank_is_lost_before_the_first_step() -> None:
    assert a_training_worker().then(end(0, exit_code=1)).worker.spares == 2


def test_the_store_that_rank_0_opened_is_shared_under_the_address_of_its_worker() -> None:
    resume = Resumed(world=1, step=7, tier="Durable")
    story = a_ready_worker().then(run(2, ME, YOU), say(0, StoreOpened(port=1234, resume=resume), 2))
    assert story.orders == (ShareStore(world=2, store=JoinStore(host="10.0.0.2", port=1234, resume=resume)),)
    assert story.worker.told.resumed == resume


def test_a_store_that_is_found_too_late_is_dropped() -> None:
    story = a_training_worker(2).then(StoreFound(world=1, store=JoinStore(host="h", port=1)))
    assert story.orders == ()


def test_a_pause_is_told_once_and_again_only_if_it_becomes_durable() -> None:
    story = a_training_worker().then(hear(Pause(world=1)))
    assert story.orders == (StopRanks(durable=False),)
    assert story.then(hear(Pause(world=1))).orders == ()
    assert story.then(hear(Pause(world=1, durable=True))).orders == (StopRanks(durable=True),)
    assert story.then(hear(Pause(world=1))).orders == ()


def test_a_world_is_left_when_the_last_rank_has_left_it() -> None:
    story = a_training_worker().then(hear(Pause(world=1)), WARM, say(1, Left(step=3)), end(1, exit_code=0))
    assert story.state is AgentState.TRAINING
    assert story.then(say(0, Left(step=3))).state is AgentState.READY
    assert story.then(end(0, exit_code=0)).worker.failure is None


def test_a_pause_before_the_entry_leaves_at_once() -> None:
    story = Story(run(1)).then(hear(Pause(world=1)))
    assert story.state is AgentState.STARTING
    assert story.then(WARM).kinds == []


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


def test_a_worker_is_done_when_its_last_rank_is_and_holds_it_until_finish() -> None:
    story = a_training_worker().then(say(0, Done(output="s3://m")), end(0, exit_code=0))
    assert story.state is AgentState.TRAINING
    story.then(say(1, Done()), end(1, exit_code=0), hear(Wait()), WARM)
    assert (story.state, story.worker.told.output) == (AgentState.DONE, "s3://m")
    assert story.then(hear(Finish())).orders == (EndRanks(), Exit(code=0))


def test_a_done_worker_enters_a_later_world_when_another_was_lost_before_the_end() -> None:
    story = a_training_worker().then(say(0, Done(output="s3://m")), say(1, Done()), WARM, run(2))
    assert (story.state, story.kinds) == (AgentState.TRAINING, [RememberWorld, EnterWorld])
    assert story.worker.told.output is None


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


def test_progress_is_told_with_tokens_a_second_and_begins_anew_in_each_world() -> None:
    story = a_training_worker().then(say(0, Stepped(step=5, seconds=0.5, tokens=100, loss=1.0)))
    progress = write(story.worker, Identity(boot_id="b", worker=1, node="n", address="a")).progress
    assert progress is not None
    assert (progress.step, progress.tokens_per_second) == (5, 200.0)
    assert story.then(run(2)).worker.told.progress is None


def test_a_new_process_of_a_worker_does_not_enter_the_world_of_the_one_before() -> None:
    story = a_ready_worker()
    story.worker = replace(story.worker, newest_world=1)
    assert story.then(run(1)).orders == ()
    assert story.then(run(2)).kinds == [RememberWorld, EnterWorld]
