"""The kinds of value that fields have, each with the sentence that refuses another."""

import re
from typing import Annotated, Any

from pydantic import Field

from everstep_api.rules import Rule, formatted, matches

Name = Annotated[
    str,
    Field(max_length=63),
    matches(
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        says="'%s' is not a valid name; use lowercase letters, digits and '-', with a letter or digit at both ends",
    ),
]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1, le=31_536_000)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Key = Annotated[str, Field(min_length=1, max_length=253)]
Labels = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]


def auto_or(noun: str) -> Rule:
    """A whole number of at least 1 or the word `auto`; `noun` says what is counted."""
    return Rule.of(
        'type(self) == int ? self >= 1 : self == "auto"',
        holds=lambda value: value == "auto" or (type(value) is int and value >= 1),
        says=f"'%s' is not a valid number of {noun}; write auto, or a whole number of 1 or more",
        shows=[""],
        untyped=True,
    )


LONGEST_QUANTITY = 32
_QUANTITY = r"[+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?"
_NO_QUANTITY = "'%s' is not a quantity; write a number of 0 or more with or without a unit, such as 8, 500m or 64Gi"


def _wrong_quantity(value: Any) -> str | None:
    """What is wrong with the value, if anything. The API server says less of a fraction: the schema stops it first."""
    match value:
        case float() if value > 0:
            thousandths = f" or {value * 1000:.0f}m" if (value * 1000).is_integer() else ""
            return f'{value} is a fraction, which only text can hold here; write "{value}" in quotes{thousandths}'
        case str() if len(value) > LONGEST_QUANTITY:
            return f"'{value}' has more than {LONGEST_QUANTITY} characters; write it shorter, with a unit such as Gi"
        case str() if re.fullmatch(_QUANTITY, value):
            return None
        case int() if value >= 0 and not isinstance(value, bool):
            return None
        case _:
            return _NO_QUANTITY % (value,)


Quantity = Annotated[
    int | Annotated[str, Field(max_length=LONGEST_QUANTITY)],
    Rule(
        cel='type(self) == int ? self >= 0 : isQuantity(self) && !self.startsWith("-")',
        sentence_cel=formatted(_NO_QUANTITY, ["self"]),
        check=_wrong_quantity,
        untyped=True,
    ),
]
Quantities = Annotated[dict[str, Quantity], Field(max_length=32)]
