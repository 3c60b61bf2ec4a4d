"""JSON to dataclasses and back, strictly: a wrong type, a missing field or an unknown one is an error with its path.

JSON has no word for a number that is none, so a loss that is `nan` travels as the string "NaN".
"""

import dataclasses
import json
import math
import types
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class MalformedMessageError(ValueError):
    """A message that is not of its type; the text names the place and what was expected there."""


def encode(message: Any) -> bytes:
    """Return a dataclass as one line of JSON, without the line's end. Fields that are None are left out."""
    return json.dumps(_plain(message), allow_nan=False, separators=(",", ":")).encode()


def decode(text: bytes | str, wanted: Any) -> Any:
    """Return the message in `text` as `wanted`: a dataclass, or a union of dataclasses told apart by their `kind`.

    Raises:
        MalformedMessageError: the text is no JSON, or not of that type.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise MalformedMessageError(f"This is no JSON: {error}") from error
    return _read(value, wanted, "message")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(item) for name, item in held if item is not None}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _read(value: Any, wanted: Any, path: str) -> Any:  # noqa: PLR0911 - one return a kind of type reads best
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _read_union(value, get_args(wanted), path)
    if origin is Literal:
        return _expect(value in get_args(wanted), value, f"one of {get_args(wanted)}", path)
    if origin is tuple:
        _expect(isinstance(value, list), value, "a list", path)
        return tuple(_read(item, get_args(wanted)[0], f"{path}[{place}]") for place, item in enumerate(value))
    if origin is dict:
        _expect(isinstance(value, dict), value, "an object", path)
        return {key: _read(item, get_args(wanted)[1], f"{path}.{key}") for key, item in value.items()}
    if wanted is Any:
        return value
    if dataclasses.is_dataclass(wanted):
        return _read_dataclass(value, wanted, path)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        known = [member.value for member in wanted]
        return wanted(_expect(value in known, value, f"one of {known}", path))
    if wanted is float:
        if isinstance(value, str):
            return _NOT_FINITE[_expect(value in _NOT_FINITE, value, "a number", path)]
        return float(_expect(isinstance(value, int | float) and not isinstance(value, bool), value, "a number", path))
    return _expect(type(value) is wanted, value, wanted.__name__, path)


def _read_union(value: Any, options: tuple[Any, ...], path: str) -> Any:
    if value is None:
        return _expect(type(None) in options, value, "something", path)
    options = tuple(option for option in options if option is not type(None))
    if len(options) == 1:
        return _read(value, options[0], path)
    _expect(isinstance(value, dict), value, "an object", path)
    by_kind = {_hints(option)["kind"].__args__[0]: option for option in options}
    kind = value.get("kind")
    _expect(kind in by_kind, kind, f"one of {sorted(by_kind)}", f"{path}.kind")
    return _read(value, by_kind[kind], path)


def _read_dataclass(value: Any, wanted: Any, path: str) -> Any:
    _expect(isinstance(value, dict), value, "an object", path)
    hints = _hints(wanted)
    unknown = sorted(value.keys() - hints.keys())
    if unknown:
        raise MalformedMessageError(
            f"{path} has the unknown field {unknown[0]!r}; {wanted.__name__} has {sorted(hints)}"
        )
    read = {name: _read(value[name], hint, f"{path}.{name}") for name, hint in hints.items() if name in value}
    try:
        return wanted(**read)
    except TypeError as error:
        raise MalformedMessageError(f"{path} is no {wanted.__name__}: {error}") from error


def _expect(is_right: bool, value: Any, wanted: str, path: str) -> Any:  # noqa: FBT001 - reads as an assertion
    if not is_right:
        raise MalformedMessageError(f"{path} is {value!r} where {wanted} is expected")
    return value


@cache
def _hints(wanted: Any) -> dict[str, Any]:
    return get_type_hints(wanted)
