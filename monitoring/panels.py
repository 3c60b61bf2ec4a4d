"""What a dashboard shows, as data: rows of panels, each with the queries that feed it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lines", "stacked", "number", "share", "bars", "word"]
"""Lines over time, areas that add up, the last number, the last share of 1, one bar a series, or a series' name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question to Prometheus."""

    expr: str
    legend: str = ""
    """Name of each series; `{{label}}` stands for the label's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    says: str
    """What is to be seen, in a sentence."""
    queries: tuple[Query, ...]
    kind: Kind = "lines"
    unit: str = "short"
    """Grafana's name of the unit; `s`, `bytes`, `percentunit`, `short` for plain numbers."""
    decimals: int | None = None
    width: int = 8
    """Of the 24 columns of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variable whose values are those of a label."""

    name: str
    label: str
    """What is written before it."""
    series: str
    """The series that have the label."""
    values_of: str
    """The label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A whole dashboard."""

    uid: str
    """By which Grafana knows it again: another text under the same uid replaces it."""
    title: str
    says: str
    choices: tuple[Choice, ...]
    rows: tuple[Row, ...]
