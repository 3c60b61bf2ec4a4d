"""What every part of a status shares. Whole numbers and texts only: a fraction could be NaN, and JSON has no NaN."""

from typing import Annotated

from pydantic import Field

from everstep_api.resource import Resource
from everstep_api.rules import Rule

MOST_WORLDS = 2**31 - 1

Text = Annotated[str, Field(max_length=1024)]
Sentence = Annotated[str, Field(max_length=32_768)]
Word = Annotated[str, Field(max_length=253)]
PascalCase = Annotated[str, Field(max_length=128, pattern="^[A-Z][A-Za-z0-9]*$")]
Number = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0, le=100)]
WorldNumber = Annotated[
    int,
    Field(ge=1),
    Rule.of(
        f"self <= {MOST_WORLDS}",
        holds=lambda number: number <= MOST_WORLDS,
        says=f"world %d is beyond the last one, {MOST_WORLDS}; create a job with another name to go on",
        shows=[""],
    ),
]


class StatusPart(Resource):
    """A part of the status: written strictly, and read with room for what a newer operator wrote.

    `reading` drops the fields and words that this release does not know before the model sees them.
    """
