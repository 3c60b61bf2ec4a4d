"""The page of conditions and events."""

from pathlib import Path

import pytest

from everstep_api import reasons_page
from everstep_api.conditions import OCCURRENCES, Occurrence, Reason
from tests.paths import ROOT


def test_the_checked_in_page_is_what_the_code_says() -> None:
    assert reasons_page.main([str(ROOT / "docs" / "events.md"), "--check"]) == 0


def test_the_page_has_every_reason_once_and_every_occurrence_has_a_meaning() -> None:
    page = reasons_page.rendered()
    for reason in [*Reason, *Occurrence]:
        assert page.count(f"| `{reason}` |") == 1
    assert set(OCCURRENCES) == set(Occurrence)


def test_an_outdated_page_is_named_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "docs" / "events.md"
    assert reasons_page.main([str(file), "--check"]) == 1
    assert f"{file} is not what the code says" in capsys.readouterr().err
    assert reasons_page.main([str(file)]) == 0
    assert reasons_page.main([str(file), "--check"]) == 0
