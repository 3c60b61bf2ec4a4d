"""The table says something for every case, and its promises hold in every row."""

import itertools
from typing import Any

import pytest

from everstep_api.wire.sync import Action, AgentState, Finish, Member, Pause, Run, Stop, Wait
from everstep_api.wire.table import TABLE, Effect, Input, Reaction, understand

ROWS = [(state, cause, TABLE[state][cause]) for state, cause in itertools.product(AgentState, Input)]


def test_every_state_has_a_row_for_every_input() -> None:
    assert {state: set(rows) for state, rows in TABLE.items()} == {state: set(Input) for state in AgentState}


def test_ranks_end_before_a_worker_enters_or_exits() -> None:
    """A member first leaves one world, then enters the next, so that two worlds with it never both advance."""
    for state, _, reaction in ROWS:
        order = list(reaction.effects)
        for later in (Effect.ENTER, Effect.EXIT_TO_RESTART):
            if state is AgentState.TRAINING and later in order:
                assert order.index(Effect.END_RANKS) < order.index(later)


def test_only_the_operator_or_a_signal_takes_a_worker_out_of_its_world_in_one_step() -> None:
    """No loss ends the ranks that are left: one of them may be about to commit a checkpoint."""
    ending = {cause for state, cause, row in ROWS if state is AgentState.TRAINING and Effect.END_RANKS in row.effects}
    assert ending == {Input.WAIT, Input.RUN_LATER, Input.FINISH, Input.STOP, Input.BROKEN}


def test_a_worker_that_was_told_to_end_enters_no_world() -> None:
    assert all(Effect.ENTER not in row.effects for state, _, row in ROWS if state is AgentState.STOPPING)


def test_finish_and_stop_end_every_agent() -> None:
    for state, cause in itertools.product(AgentState, (Input.FINISH, Input.STOP)):
        assert TABLE[state][cause].effects[-1] is Effect.EXIT


def test_done_is_held_until_the_operator_has_recorded_it() -> None:
    kept = {cause for cause in Input if TABLE[AgentState.DONE][cause] == Reaction(AgentState.DONE)}
    assert set(Input) - kept == {Input.RUN_LATER, Input.FINISH, Input.STOP, Input.SIGNAL, Input.END}


def test_nothing_that_the_operator_repeats_does_anything_twice() -> None:
    """Directives are level-triggered: what was heard once is heard again at any time."""
    for state, cause in itertools.product(AgentState, (Input.WAIT, Input.KNOWN)):
        rest = TABLE[state][cause].state
        assert Effect.ENTER not in TABLE[rest][cause].effects
        assert TABLE[rest][cause].state is rest


def a_run(world: int, *pods: str) -> Run:
    members = tuple(Member(worker=place, pod_uid=pod, address="h:1", node="n") for place, pod in enumerate(pods))
    return Run(world=world, members=members, ranks_per_worker=1, secret="s")  # noqa: S106 - nobody's


@pytest.mark.parametrize(
    ("action", "meaning"),
    [
        pytest.param(Wait(), Input.WAIT, id="wait"),
        pytest.param(a_run(4, "me", "you"), Input.RUN_LATER, id="a later world with this worker"),
        pytest.param(a_run(4, "you"), Input.WAIT, id="a later world without it"),
        pytest.param(a_run(3, "me"), Input.KNOWN, id="the world that it is in"),
        pytest.param(a_run(2, "me"), Input.KNOWN, id="a world that was before"),
        pytest.param(Pause(world=3), Input.PAUSE, id="a pause of its world"),
        pytest.param(Pause(world=2), Input.KNOWN, id="a pause that comes late"),
        pytest.param(Pause(world=4), Input.WAIT, id="a pause of a world that it never entered"),
        pytest.param(Finish(), Input.FINISH, id="finish"),
        pytest.param(Stop(), Input.STOP, id="stop"),
    ],
)
def test_an_action_means_what_the_known_worlds_make_of_it(action: Action, meaning: Any) -> None:
    assert understand(action, pod_uid="me", newest_world=3) is meaning
