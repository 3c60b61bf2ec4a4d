"""When a worker has spares, and how it enters, leaves and finishes worlds: event by event, without any process."""

from dataclasses import replace
from typing import Any

import pytest

from everstep_agent.events import (
    EndRanks,
    EnterWorld,
    Exit,
    RememberWorld,
    ShareStore,
    SparesCounted,
    StopRanks,
    StoreFound,
)
from everstep_agent.report import Identity, write
from everstep_agent.state import Worker
from everstep_api.wire.ranks import (
    Done,
    JoinStore,
    Left,
    Stepped,
    StoreOpened,
)
from everstep_api.wire.sync import (
    AgentState,
    Finish,
    Pause,
    Phase,
    Resumed,
    Wait,
)
from tests.unit.agent.story import (
    ME,
    SPEC,
    WARM,
    YOU,
    Story,
    a_ready_worker,
    a_training_worker,
    end,
    hear,
    run,
    say,
)


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
