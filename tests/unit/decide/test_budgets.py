"""How many failures a job survives."""

import pytest

from everstep_api.conditions import ConditionType, Reason
from everstep_api.wire.sync import AgentState, Failure, FailureCause, Progress
from tests.builders import a_job
from tests.unit.decide.play import Play

TRAINING = AgentState.TRAINING
RULE = {"name": "bad-data", "onExitCodes": {"operator": "In", "values": [42, 137]}, "action": "FailJob"}


def test_one_failure_more_than_the_budget_fails_the_job() -> None:
    play = Play(a_job().setting("spec.recovery.maxRestarts", 2)).training(step=1)
    for number in range(3):
        assert not play.status.endings
        play.passing(5).heartbeat()
        play.fails(exception=f"Error{number}")
        if not play.status.endings:
            play.steps(number + 2)
    status, reason, sentence = play.said(ConditionType.FAILED)
    assert (status, reason) == ("True", Reason.RESTARTS_EXHAUSTED)
    assert sentence.startswith("3 failures within 3,600 s")


def test_failures_of_an_earlier_window_no_longer_count() -> None:
    play = Play(a_job().setting("spec.recovery", {"maxRestarts": 1, "restartWindowSeconds": 60})).training(step=1)
    for number in range(5):
        play.passing(61).heartbeat()
        play.fails(exception=f"Error{number}")
        play.steps(number + 2)
    assert not play.status.endings
    assert play.status.recoveries is not None
    assert play.status.recoveries.total == 5


def test_the_window_of_failures_slides() -> None:
    """Failures every 25 s, of which 60 s have three at most, however they are cut."""
    play = Play(a_job().setting("spec.recovery", {"maxRestarts": 3, "restartWindowSeconds": 60})).training(step=1)
    for number in range(12):
        play.passing(25).heartbeat()
        play.fails(exception=f"Error{number}")
        play.steps(number + 2)
    assert not play.status.endings
    for number in range(3):
        play.passing(1).heartbeat()
        play.fails(exception=f"Further{number}")
        if not play.status.endings:
            play.steps(number + 20)
    assert play.said(ConditionType.FAILED)[1] is Reason.RESTARTS_EXHAUSTED


def test_failures_at_the_border_of_two_windows_count_together() -> None:
    """A window that opened at the first failure and closed a minute later would forget the failures at its end."""
    play = Play(a_job().setting("spec.recovery", {"maxRestarts": 3, "restartWindowSeconds": 60})).training(step=1)
    for number, wait_s in enumerate((0, 55, 2, 6)):
        assert not play.status.endings
        play.passing(wait_s).heartbeat()
        play.fails(exception=f"Error{number}")
        if not play.status.endings:
            play.steps(number + 2)
    play.passing(2).heartbeat()
    play.fails(exception="Last")
    assert play.said(ConditionType.FAILED)[1] is Reason.RESTARTS_EXHAUSTED


def test_thousands_of_failures_are_counted_in_a_status_of_bounded_size() -> None:
    play = Play(a_job().setting("spec.recovery.maxRestarts", 10_000)).training(step=1)
    for number in range(300):
        play.passing(7).heartbeat()
        play.fails(exception=f"Error{number}")
        play.steps(number + 2)
    assert play.status.recoveries is not None
    assert play.status.recoveries.window is not None
    assert play.status.recoveries.window.counted == 300
    assert len(play.status.recoveries.window.moments) <= 60


@pytest.mark.parametrize("longer_s", [120, 3600, 604_800])
def test_a_window_that_is_made_longer_in_mid_job_forgets_no_failure(longer_s: int) -> None:
    """A job that fails each second has as many moments as a status may have; then another window takes further ones."""
    job = a_job().setting("spec.recovery", {"maxRestarts": 10_000, "restartWindowSeconds": 60})
    play = Play(job).training(step=1)
    for number in range(130):
        if number == 60:
            play.change(job.setting("spec.recovery.restartWindowSeconds", longer_s))
        play.passing(1 if number < 60 else longer_s / 200).heartbeat()
        play.fails(exception=f"Error{number}")
        play.steps(number + 2)
    assert play.status.recoveries is not None
    window = play.status.recoveries.window
    assert window is not None
    assert len(window.moments) <= 61
    assert window.counted == sum(moment.counted for moment in window.moments) == 130


def test_the_same_failure_at_the_same_step_three_times_is_the_programs_fault() -> None:
    play = Play(a_job()).training(step=4)
    for _ in range(2):
        play.passing(5).heartbeat()
        play.fails()
        play.steps(4)
    assert not play.status.endings
    play.fails()
    assert play.said(ConditionType.FAILED)[1] is Reason.SAME_FAILURE


@pytest.mark.parametrize(
    ("signal", "ended"), [pytest.param(11, True, id="a crash"), pytest.param(9, False, id="killed from outside")]
)
def test_a_crash_at_the_same_step_three_times_is_the_programs_fault(signal: int, *, ended: bool) -> None:
    play = Play(a_job()).training(step=4)
    for _ in range(3):
        play.passing(5).heartbeat()
        failure = Failure(world=play.world or 0, cause=FailureCause.RANK_KILLED, rank=1, signal=signal)
        play.reports_as(1, TRAINING, world=play.world, progress=Progress(step=4), failure=failure)
        play.look()
        if not play.status.endings:
            play.steps(4)
    assert bool(play.status.endings) == ended


@pytest.mark.parametrize(
    ("rule", "code", "counted", "ended"),
    [
        pytest.param(RULE, 42, 1, True, id="the code is one of them"),
        pytest.param(RULE, 1, 1, False, id="the code is another one"),
        pytest.param({**RULE, "action": "Ignore"}, 42, 0, False, id="ignored"),
        pytest.param({**RULE, "action": "Count"}, 42, 1, False, id="counted"),
        pytest.param({**RULE, "onExitCodes": {"operator": "NotIn", "values": [1]}}, 42, 1, True, id="all but one code"),
    ],
)
def test_the_first_rule_that_matches_says_what_a_failure_means(
    rule: dict[str, object], code: int, counted: int, *, ended: bool
) -> None:
    play = Play(a_job().setting("spec.recovery.rules", [rule])).training()
    play.fails(code=code)
    assert bool(play.status.endings) == ended
    assert play.status.recoveries is not None
    assert (play.status.recoveries.window.counted if play.status.recoveries.window else 0) == counted


def test_a_rule_can_ask_for_another_pod() -> None:
    play = Play(a_job().setting("spec.recovery.rules", [{**RULE, "action": "ReplacePod"}])).training()
    former = play.uid(1)
    decision = play.fails(code=42)
    assert play.pods[former].is_deleted
    assert [(pod.worker, pod.replaces) for pod in decision.create] == [(1, former)]
