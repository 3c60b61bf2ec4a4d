"""Rules of the resource: what is refused, with the sentence that says what to change.

A `Rule` is one fact in two tongues. The API server hears it in CEL; where there is no API server (`everstep run`, or a
spec that a profile completed) pydantic hears it in Python, and both say the same sentence. A `Transition` compares a
job with what it was before, which only the API server can do.

CEL refuses only what no profile could mend: a field that is absent may come from the profile, so a rule speaks of
fields that are there. What needs the whole resolved spec stands in `checks`.
"""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

TYPE_OF_VIOLATION = "everstep_rule"
"""The error type under which pydantic carries our own sentences; `problems` prints these as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on one value, checked alike by the API server and by pydantic.

    As metadata of a field's type it guards the field; in a model's `guards` it guards the model.
    """

    cel: str
    """True when all is well."""
    sentence_cel: str
    """A CEL expression of the sentence that is said when it is not."""
    check: Callable[[Any], str | None]
    """The same in Python: the sentence, or None when all is well."""
    at: str = ""
    """The field, below the guarded one, that the API server names before the sentence."""
    untyped: bool = False
    """Whether Python checks before it knows the type, for a value that may be of two types."""

    @classmethod
    def of(
        cls,
        cel: str,
        *,
        holds: Callable[[Any], bool],
        says: str,
        shows: Sequence[str] = (),
        at: str = "",
        untyped: bool = False,
    ) -> Self:
        """A rule whose sentence shows values: one `%s` or `%d` for each path in `shows` (empty: the value itself)."""

        def check(value: Any) -> str | None:
            return None if holds(value) else says % tuple(_shown(value, path) for path in shows)

        sentence_cel = formatted(says, [_below_self(path) for path in shows])
        return cls(cel=cel, sentence_cel=sentence_cel, check=check, at=at, untyped=untyped)

    def manifest(self) -> dict[str, str]:
        """The rule as an entry of `x-kubernetes-validations`."""
        return _validation(self.cel, self.sentence_cel, self.at, reason="FieldValueInvalid")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def guard(value: Any) -> Any:
            raise_violations([self], value)
            return value

        if self.untyped:
            return core_schema.no_info_before_validator_function(guard, handler(source))
        return core_schema.no_info_after_validator_function(guard, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return with_validations(handler(schema), [self])


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A condition on a change: `oldSelf` is what was stored, `self` what shall be."""

    cel: str
    sentence_cel: str
    at: str = ""

    @classmethod
    def of(cls, cel: str, *, says: str, shows: Sequence[str] = (), at: str = "") -> Self:
        """A rule whose sentence shows CEL expressions: one `%s` or `%d` for each."""
        return cls(cel=cel, sentence_cel=formatted(says, shows), at=at)

    def manifest(self) -> dict[str, str]:
        """The rule as an entry of `x-kubernetes-validations`."""
        return _validation(self.cel, self.sentence_cel, self.at, reason="FieldValueForbidden")


def matches(pattern: str, *, says: str) -> Rule:
    """The text matches the pattern from end to end; `%s` in the sentence is the text.

    The pattern is read by RE2 and by Python, so it uses only what both have.
    """
    return Rule.of(
        f"self.matches({quoted(f'^(?:{pattern})$')})",
        holds=lambda text: re.fullmatch(pattern, text) is not None,
        says=says,
        shows=[""],
    )


def exactly_one_of(*members: str) -> Rule:
    """One of these fields is there, and no second one."""
    choice = _listed(members)
    sentences = {
        given: f"has {_listed(given)}; keep exactly one of {choice}"
        for size in range(len(members), 1, -1)
        for given in itertools.combinations(members, size)
    }
    nothing = f"has {_none_of(members)}; write exactly one of them"
    # A sentence for each case: CEL estimates the cost of joining names at a hundred times what a rule may cost.
    cases = [
        f"{' && '.join(f'has(self.{member})' for member in given)} ? {quoted(sentences[given])}" for given in sentences
    ]

    def check(model: BaseModel) -> str | None:
        written = model.model_dump(by_alias=True, exclude_none=True)
        given = tuple(member for member in members if member in written)
        return None if len(given) == 1 else sentences.get(given, nothing)

    return Rule(
        cel=f"{' + '.join(f'(has(self.{member}) ? 1 : 0)' for member in members)} == 1",
        sentence_cel=" : ".join([*cases, quoted(nothing)]),
        check=check,
    )


def unchanged(parent: str, field: str) -> str:
    """A CEL expression: the field, which may be absent, is what it was. Comparing optionals would cost too much."""
    new, old = f"self{parent}.{field}", f"oldSelf{parent}.{field}"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"


def raise_violations(rules: Sequence[Rule], value: Any) -> None:
    """Raise one pydantic error with the sentences of all rules that the value breaks, if there are any."""
    said = [(rule.at, sentence) for rule in rules if (sentence := rule.check(value)) is not None]
    raise_sentences(said)


def raise_sentences(said: Sequence[tuple[str, str]]) -> None:
    """Raise one pydantic error with these sentences, each with the field below the value that it is about, if any."""
    if said:
        joined = "; ".join(sentence for _, sentence in said)
        raise PydanticCustomError(TYPE_OF_VIOLATION, "{joined}", {"joined": joined, "said": said})


def with_validations(schema: dict[str, Any], rules: Sequence[Rule | Transition]) -> dict[str, Any]:
    """The JSON schema with the rules added to those that it has."""
    if not rules:
        return schema
    name = "x-kubernetes-validations"
    return {**schema, name: [*schema.get(name, []), *(rule.manifest() for rule in rules)]}


def formatted(says: str, shows: Sequence[str]) -> str:
    """A CEL expression of the sentence with the values of these expressions in it."""
    return f"{quoted(says)}.format([{', '.join(shows)}])" if shows else quoted(says)


def quoted(text: str) -> str:
    """The text as a string literal of CEL."""
    return json.dumps(text, ensure_ascii=False)


def _validation(cel: str, sentence_cel: str, at: str, *, reason: str) -> dict[str, str]:
    place = {"fieldPath": at} if at else {}
    return {"rule": cel, "messageExpression": sentence_cel, "reason": reason, **place}


def _none_of(names: Sequence[str]) -> str:
    match names:
        case (first, second):
            return f"neither {first} nor {second}"
        case _:
            return f"none of {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _below_self(path: str) -> str:
    return f"self.{path}" if path else "self"


def _shown(value: Any, path: str) -> Any:
    if not path:
        return value
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else value.model_dump(by_alias=True)[name]
    return value
