"""docs/metrics.md says of each metric what the code says."""

import re
from collections.abc import Iterable

import pytest

from tests.paths import ROOT
from tests.unit.metrics.exported import Exported, of_agent, of_operator

TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
OWN = {"training_namespace", "training_job", "worker"}


def table(heading: str) -> list[str]:
    """The rows of the table under the heading."""
    _, _, rest = TEXT.partition(f"## {heading}\n")
    section = rest.partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def rows(exported: Iterable[Exported]) -> list[str]:
    return [f"| `{each.name}` | {each.kind} | {each.labels} | {each.says} |" for each in exported]


@pytest.mark.parametrize(
    ("heading", "exported"),
    [pytest.param("Workers", of_agent, id="workers"), pytest.param("Operator", of_operator, id="operator")],
)
def test_the_table_is_what_is_exported(heading: str, exported: type[list[Exported]]) -> None:
    assert table(heading) == rows(exported())


def test_names_and_labels_keep_to_prometheus_conventions() -> None:
    for each in [*of_agent(), *of_operator()]:
        assert re.fullmatch(r"everstep_[a-z0-9_]+", each.name), each
        assert each.name.endswith("_total") == (each.kind == "counter"), each
        assert not re.search(r"_(ms|milliseconds|mb|kb|minutes)(_|$)", each.name), f"no base unit: {each}"
        assert not {"`job`", "`namespace`", "`instance`", "`pod`"} & set(each.labels.split(", ")), each
        assert each.says.endswith("."), each


def test_all_series_of_workers_say_whose_they_are() -> None:
    for each in of_agent():
        assert {f"`{label}`" for label in OWN} <= set(each.labels.split(", ")), each
