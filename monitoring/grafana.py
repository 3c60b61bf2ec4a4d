"""Makes a dashboard of Grafana from a `Board`. The one door to grafana-foundation-sdk."""

import itertools
import json
from typing import assert_never

from grafana_foundation_sdk.builders import bargauge, common, dashboard, gauge, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models

from monitoring.panels import Board, Choice, Panel, Query

_HEIGHTS = {"lines": 8, "stacked": 8, "bars": 8, "number": 4, "share": 4, "word": 4}
_OF_NOW = ("bars", "word")
"""Kinds that ask for this moment alone: what was true earlier would be a bar, or a word, too."""
_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

_Visual = timeseries.Panel | stat.Panel | gauge.Panel | bargauge.Panel


def to_json(board: Board) -> str:
    """Return the dashboard as Grafana imports it; the same text for the same board."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags(["everstep"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for choice in board.choices:
        made = made.with_variable(_variable(choice))
    numbers = itertools.count(1)
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            made = made.with_panel(_panel(panel).id(next(numbers)))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _variable(choice: Choice) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(choice.name)
        .label(choice.label)
        .datasource(_SOURCE)
        .query(f"label_values({choice.series}, {choice.values_of})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _panel(panel: Panel) -> _Visual:
    made = _visual(panel)
    made.title(panel.title).description(panel.says).datasource(_SOURCE)
    made.unit(panel.unit).span(panel.width).height(_HEIGHTS[panel.kind])
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    for place, query in enumerate(panel.queries):
        made.with_target(_query(query, name=chr(ord("A") + place), is_instant=panel.kind in _OF_NOW))
    return made


def _visual(panel: Panel) -> _Visual:
    match panel.kind:
        case "lines":
            return timeseries.Panel().line_width(2).show_points(options.VisibilityMode.AUTO)
        case "stacked":
            stacked = common.StackingConfig().mode(options.StackingMode.NORMAL)
            return timeseries.Panel().fill_opacity(60).line_width(0).min(0).stacking(stacked)
        case "number":
            return stat.Panel().graph_mode(options.BigValueGraphMode.NONE).reduce_options(_last())
        case "word":
            named = stat.Panel().text_mode(options.BigValueTextMode.NAME)
            return named.graph_mode(options.BigValueGraphMode.NONE).reduce_options(_last())
        case "share":
            return gauge.Panel().min(0).max(1).reduce_options(_last())
        case "bars":
            return bargauge.Panel().orientation(options.VizOrientation.HORIZONTAL).min(0).reduce_options(_last())
        case _:
            assert_never(panel.kind)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _query(query: Query, *, name: str, is_instant: bool) -> prometheus.Dataquery:
    made = prometheus.Dataquery().ref_id(name).expr(query.expr).legend_format(query.legend or "__auto")
    return made.instant() if is_instant else made.range()
