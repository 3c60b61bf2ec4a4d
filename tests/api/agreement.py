"""Compares two JSON values as a JSON parser of Go sees them."""

from collections.abc import Iterator
from typing import Any


def differences(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Each place where the values differ; whole numbers beyond 64 bits are floating-point numbers there."""
    return list(_differences(_as_go(theirs), _as_go(ours), path))


def _differences(theirs: Any, ours: Any, path: str) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        for name, value in theirs.items():
            yield from differences(value, ours[name], f"{path}.{name}")
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, value in enumerate(theirs):
            yield from differences(value, ours[index], f"{path}[{index}]")
    elif type(theirs) is not type(ours) or theirs != ours:
        yield f"{path}: kubectl has {theirs!r}, we have {ours!r}"


def _as_go(value: Any) -> Any:
    is_large = isinstance(value, int) and not -(2**63) < value < 2**63
    return float(value) if is_large else value
