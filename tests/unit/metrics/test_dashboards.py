"""The dashboards of the chart are those of the code, and speak of what is exported."""

import json
import re
from itertools import combinations
from typing import Any

import pytest

from monitoring.__main__ import BOARDS, FOLDER
from monitoring.grafana import to_json
from tests.unit.metrics.exported import of_agent, of_operator

Dashboard = dict[str, Any]


@pytest.fixture(params=BOARDS)
def shipped(request: pytest.FixtureRequest) -> Dashboard:
    dashboard: Dashboard = json.loads((FOLDER / request.param).read_text(encoding="utf-8"))
    return dashboard


@pytest.mark.parametrize("name", BOARDS)
def test_the_chart_has_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == to_json(BOARDS[name]), "run `make dashboards`"


def test_every_query_asks_for_series_that_are_exported(shipped: Dashboard) -> None:
    exported = {each.name for each in [*of_agent(), *of_operator()]}
    queries = [target["expr"] for panel in shipped["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 20
    for query in queries:
        names = set(re.findall(r"everstep_\w+", query))
        assert names, query
        assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} <= exported, query


def test_every_query_is_about_the_job_that_was_chosen(shipped: Dashboard) -> None:
    for panel in shipped["panels"]:
        for target in panel.get("targets", []):
            series = re.findall(r"everstep_\w+(\{[^}]*\})?", target["expr"])
            assert all('training_job="$job"' in labels for labels in series), target["expr"]
            assert all('training_namespace="$namespace"' in labels for labels in series), target["expr"]


def test_panels_have_numbers_of_their_own_and_lie_beside_each_other(shipped: Dashboard) -> None:
    panels = shipped["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_above


def test_each_panel_says_what_it_shows_and_in_which_unit(shipped: Dashboard) -> None:
    for panel in shipped["panels"]:
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
