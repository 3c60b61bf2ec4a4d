"""One moment of a job in words."""

import pytest

from everstep_api.progress import Figure, Progress
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import Phase
from everstep_cli.view import View, duration, news
from tests.unit.cli.statuses import NOON, a_recovery, a_running_job, a_step, evaluated, recovering


def test_a_moment_has_step_loss_speed_workers_and_the_time_left() -> None:
    view = View(status=a_running_job(), told=a_step(10))
    assert view.line == "Running: step 10/100  loss 1.235  1,234 tokens/s  2/2 workers  3 min 00 s left"


@pytest.mark.parametrize(
    ("doing", "line"),
    [
        pytest.param(Phase.EVALUATE, "Running: step 0  evaluating  2/2 workers", id="something else"),
        pytest.param(Phase.TRAIN, "Running: step 0  2/2 workers", id="steps"),
    ],
)
def test_what_makes_no_steps_is_named(doing: Phase, line: str) -> None:
    assert View(status=a_running_job(), told=None, doing=doing).line == line


def test_what_is_not_known_is_not_said() -> None:
    assert View(status=TrainingJobStatus(), told=None).line == "Pending: step 0"
    assert "left" not in View(status=a_running_job(), told=a_step(10, total=None)).line


def test_a_step_beyond_the_total_leaves_no_time() -> None:
    assert View(status=a_running_job(), told=a_step(101)).line.endswith("  0 s left")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3661, "1 h 01 min")]
)
def test_a_time_has_two_figures_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("lost_steps", "sentence"),
    [
        pytest.param(None, "Recovered from RankKilled of worker 1 in 2.0 s.", id="it is not known how many"),
        pytest.param(0, "Recovered from RankKilled of worker 1 in 2.0 s; no step was lost.", id="none"),
        pytest.param(1, "Recovered from RankKilled of worker 1 in 2.0 s; one step is done again.", id="one"),
        pytest.param(3, "Recovered from RankKilled of worker 1 in 2.0 s; 3 steps are done again.", id="several"),
    ],
)
def test_a_recovery_is_told_with_its_cost(lost_steps: int | None, sentence: str) -> None:
    assert list(news(recovering(), recovering(a_recovery(1, lost_steps=lost_steps)))) == [sentence]


def test_a_recovery_is_told_once_and_only_after_its_first_step() -> None:
    begun, over = recovering(a_recovery(1, first_step=None)), recovering(a_recovery(1))
    assert list(news(recovering(), begun)) == []
    assert len(list(news(begun, over))) == 1
    assert list(news(over, over)) == []
    assert len(list(news(over, recovering(a_recovery(2), a_recovery(1))))) == 1


def test_evaluations_are_told_in_their_order() -> None:
    assert list(news(a_running_job(), evaluated((20, "2.6"), (0, "3.1")))) == [
        "Held out, after step 0: loss 3.1.",
        "Held out, after step 20: loss 2.6.",
    ]
    assert list(news(evaluated((0, "3.1")), evaluated((20, "2.6"), (0, "3.1")))) == [
        "Held out, after step 20: loss 2.6."
    ]


def test_a_status_alone_tells_the_moment_that_it_knows() -> None:
    """The seconds of a step come back from the time that is left."""
    figures = (Figure(name="loss", value="1.235"),)
    progress = Progress(
        step=10,
        total_steps=100,
        tokens_per_second=1234,
        estimated_remaining_seconds=180,
        last_update_time=NOON,
        metrics=figures,
    )
    view = View.of(a_running_job().model_copy(update={"progress": progress}))
    assert view.line == "Running: step 10/100  loss 1.235  1,234 tokens/s  2/2 workers  3 min 00 s left"
    assert View.of(TrainingJobStatus()).line == "Pending: step 0"
