"""What every model of a resource shares: camelCase names, strictness, and the words behind each field.

Models state their built-in defaults as plain Python defaults. The CRD contains none of them, since a profile stands
between the job and the built-in default; the compiler turns each into a sentence of the field's description instead.
Where the default is no value but a derivation or an absence, `Derived` and `Absent` hold its words.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from everstep_api.rules import Rule, Transition, raise_sentences, raise_violations, with_validations

Manifest = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON has it."""


class Resource(BaseModel):
    """A part of a resource. Unknown fields are refused by name, and no text is taken for a number."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        allow_inf_nan=False,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    guards: ClassVar[tuple[Rule, ...]] = ()
    transitions: ClassVar[tuple[Transition, ...]] = ()
    one_of: ClassVar[tuple[str, ...]] = ()
    """Fields of which exactly one is there. Where layers meet, the upper layer's choice replaces the lower one's."""

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        raise_violations(self.guards, self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return with_validations(handler(schema), [*cls.guards, *cls.transitions])

    def manifest(self) -> Manifest:
        """The part as JSON holds it: camelCase, and without what is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Note:
    """Metadata of a field that travels to the compiler as an `x-everstep-…` key of the JSON schema."""

    key: str
    value: Any

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), self.key: self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """Metadata of a list in which nothing stands twice: no value, or no value of the entries' field `key`."""

    key: str | None
    also: str | None = None
    """A second field whose values differ. To the API server a list has one key, so only the models hold to this one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._refuse_twins, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        kind = {"x-kubernetes-list-type": "set" if self.key is None else "map"}
        keys = {} if self.key is None else {"x-kubernetes-list-map-keys": [self.key]}
        return {**handler(schema), **kind, **keys}

    def _refuse_twins(self, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [key for key in (self.key, self.also) if key is not None]
        columns = [[getattr(entry, key) for entry in entries] for key in keys] or [list(entries)]
        twins = [value for column in columns for value, count in Counter(column).items() if count > 1]
        raise_sentences([("", f"{value} is in the list twice; keep one of the two") for value in twins])
        return entries


DEFAULT_WORDS = "x-everstep-default"
JOB_ONLY = "x-everstep-job-only"


def derived(words: str) -> Note:
    """The field is absent until something is known; `words` say what its value will be then."""
    return Note(DEFAULT_WORDS, f"Default: {words}.")


def absent(words: str) -> Note:
    """The field has no default; `words` say what its absence means."""
    return Note(DEFAULT_WORDS, f"Absent: {words}.")


job_only = Note(JOB_ONLY, value=True)
"""The field is the job's own and no profile may set it. What the schema requires of each job is of this kind."""

kept_when_empty = Note("nullable", value=True)
"""A field without a value is stored as null. The API server drops the others in silence; here that would turn off what
somebody wanted, and `resolve` can refuse only what it sees."""

same_weights = Note("x-everstep-same-weights", value=True)
"""The field does not change which weights come out, so that the recipe hash leaves it out."""

UNHASHED_AT = "x-everstep-unhashed-at"


def unhashed_at(value: Any) -> Note:
    """The recipe hash leaves the field out at this value, as JSON has it: what its absence meant before there was it.

    Each field that joins the recipe after its first release has this note, or every job would start afresh.
    """
    return Note(UNHASHED_AT, value)


by_name = Distinct(key="name")
"""The list's entries are told apart by their `name`."""

first_counts = Note("x-everstep-first-counts", value=True)
"""The first entry that applies counts, so that where layers meet the upper layer's entries come first."""

as_set = Distinct(key=None)
"""No value stands in the list twice."""
