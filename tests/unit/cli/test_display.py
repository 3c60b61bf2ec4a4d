"""A file gets a line for each change, but not too many; a terminal gets a bar."""

import io

import pytest
from rich.console import Console

from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import Phase
from everstep_cli import display
from everstep_cli.display import Display
from everstep_cli.view import View
from tests.unit.cli.statuses import a_recovery, a_running_job, a_step, evaluated, recovering


def lines_of(*views: View) -> list[str]:
    """What a file gets of these moments."""
    output = io.StringIO()
    with Display(Console(file=output, width=200)) as shown:
        for view in views:
            shown.show(view)
    return output.getvalue().splitlines()


def at_step(step: int, status: TrainingJobStatus | None = None) -> View:
    return View(status=status or a_running_job(), told=a_step(step))


def test_a_file_gets_no_second_line_of_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LINE_EVERY_S", 0.0)
    lines = lines_of(at_step(1), at_step(1), at_step(2), at_step(2))
    assert [line.split()[2] for line in lines] == ["1/100", "2/100"]


def test_a_file_gets_few_lines_of_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LINE_EVERY_S", 3600.0)
    assert len(lines_of(*map(at_step, range(1, 50)))) == 1


def test_a_file_gets_nothing_before_anything_is_done() -> None:
    starting = TrainingJobStatus(phase="Starting")
    assert lines_of(View(status=starting, told=None)) == []
    assert lines_of(View(status=starting, told=None, doing=Phase.LOAD)) == ["Starting: step 0  loading the model"]


def test_recoveries_and_evaluations_have_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LINE_EVERY_S", 3600.0)
    lines = lines_of(at_step(1), at_step(2, recovering(a_recovery(1))), at_step(2, evaluated((0, "3.1"))))
    assert [line.split()[0] for line in lines] == ["Running:", "Recovered", "Held"]


def test_a_terminal_shows_the_bar_and_leaves_the_lines() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120, color_system=None, legacy_windows=False)
    with Display(console) as shown:
        shown.say("Training: World 1 trains with 2 workers.")
        shown.show(at_step(10))
    text = output.getvalue()
    assert "Training: World 1 trains with 2 workers." in text
    assert "10/100 loss 1.235  1,234 tokens/s  2/2 workers" in text
    assert text.count("Running: step") == 0
