"""Sentences about what is refused: what is wrong with the value, then what to do."""

import difflib
import json
import math
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from everstep_api.fields import Path, fields_of, model_at
from everstep_api.resource import Resource
from everstep_api.rules import TYPE_OF_VIOLATION
from everstep_api.scalars import as_json_number

Problem = tuple[Path, str]
"""Where something is wrong, and the rest of the sentence."""

LONGEST_VALUE = 80
"""Characters of a refused value that a sentence shows."""

_KINDS = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "model": "a mapping",
    "string": "text (put numbers and yes/no in quotes)",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than": ("is {value}", "use more than {gt}"),
    "greater_than_equal": ("is {value}", "use {ge} or more"),
    "less_than": ("is {value}", "use less than {lt}"),
    "less_than_equal": ("is {value}", "use {le} or less"),
    "string_too_long": ("has too many characters", "use {max_length} or fewer"),
    "string_too_short": ("has too few characters", "use {min_length} or more"),
    "too_long": ("has {actual_length} entries", "use {max_length} or fewer"),
    "too_short": ("has {actual_length} entries", "use {min_length} or more"),
    "finite_number": ("is {value}", "write a finite number"),
    "string_pattern_mismatch": ("is {value}", "write something that matches {pattern}"),
}


def problems_of(error: ValidationError, model: type[Resource]) -> list[Problem]:
    """Each fault that pydantic found, as its path and the rest of a sentence."""
    details = error.errors()
    faulty = {detail["loc"][:end] for detail in details for end in range(len(detail["loc"]))}
    # pydantic does not count the entries that it refused, so a list with one of these seems too short
    counted = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in faulty]
    return [problem for detail in counted for problem in _problems(detail, model)]


def nulls(manifest: Any, model: type[Resource], path: Path = ()) -> Iterator[Problem]:
    """The fields that are written without a value. Of most of them the API server makes absent ones."""
    if isinstance(manifest, list):
        for index, entry in enumerate(manifest):
            yield from nulls(entry, model, (*path, index))
    if not isinstance(manifest, dict):
        return
    for field in fields_of(model).values():
        below = (*path, field.name)
        if field.name in manifest and manifest[field.name] is None:
            remedy = "write {} to take its defaults" if field.model is not None else "give it a value"
            yield (below, f" is empty; {remedy}, or remove the line")
        elif field.model is not None:
            yield from nulls(manifest.get(field.name), field.model, below)


def not_finite(value: Any, path: Path = ()) -> Iterator[Problem]:
    """The numbers that JSON cannot hold, and that the API server therefore never gets to see."""
    match value:
        case float() if not math.isfinite(value):
            yield (path, f" is {value}; write a finite number")
        case dict():
            for name, item in value.items():
                yield from not_finite(item, (*path, name))
        case list():
            for index, item in enumerate(value):
                yield from not_finite(item, (*path, index))
        case _:
            pass


def _problems(detail: ErrorDetails, model: type[Resource]) -> list[Problem]:
    path, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    if kind == TYPE_OF_VIOLATION:
        return [((*path, *filter(None, at.split("."))), f": {sentence}") for at, sentence in context["said"]]
    match kind:
        case "missing":
            return [(path, " is missing; add it")]
        case "extra_forbidden":
            return [(path, f" is not a field; {_nearest(path, model)}")]
        case "literal_error" | "enum":
            return [(path, f" is {_shown(detail['input'])}; use {context['expected'].replace(chr(39), '')}")]
        case _ if kind in _BOUNDS:
            wrong, remedy = _BOUNDS[kind]
            context = {
                name: as_json_number(bound) if isinstance(bound, float) else bound for name, bound in context.items()
            }
            return [(path, f" {wrong}; {remedy}".format(value=_shown(detail["input"]), **context))]
        case _:
            wanted = _KINDS.get(kind.removesuffix("_type"), detail["msg"])
            return [(path, f" is {_shown(detail['input'])}; write {wanted}")]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _nearest(path: Path, model: type[Resource]) -> str:
    """The field that was probably meant, else those that there are."""
    known = list(fields_of(model_at(path[:-1], model)))
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
