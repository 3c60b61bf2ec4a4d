"""What the models tell about their fields, however the type is written."""

from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import Field

from everstep_api.fields import fields_of
from everstep_api.resource import Resource


class Colour(StrEnum):
    RED = "red"


class Part(Resource):
    tuple_of_names: str = ""
    """Its name has the word tuple in it, and it is no list."""


class Whole(Resource):
    plain: tuple[Part, ...] = ()
    optional: tuple[Part, ...] | None = None
    annotated: Annotated[Annotated[tuple[Part, ...], Field(max_length=3)] | None, Field(title="a")] = None
    part: Part = Part()
    optional_part: Part | None = None
    literal: Literal["a", "b"] = "a"
    optional_literal: Annotated[Literal["a", "b"], Field(title="a")] | None = None
    colour: Colour | None = None
    text: str = ""


@pytest.mark.parametrize(
    ("name", "is_list", "model", "words"),
    [
        ("plain", True, Part, None),
        ("optional", True, Part, None),
        ("annotated", True, Part, None),
        ("part", False, Part, None),
        ("optionalPart", False, Part, None),
        ("literal", False, None, {"a", "b"}),
        ("optionalLiteral", False, None, {"a", "b"}),
        ("colour", False, None, {"red"}),
        ("text", False, None, None),
    ],
)
def test_a_field_knows_its_kind(
    name: str, model: type[Resource] | None, words: set[str] | None, *, is_list: bool
) -> None:
    field = fields_of(Whole)[name]
    assert (field.is_list, field.model, field.words) == (is_list, model, words)
