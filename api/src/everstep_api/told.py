"""What every part of a status shares. Whole numbers and texts only: a fraction could be NaN, and JSON has no NaN."""

from typing import Annotated

from pydantic import ConfigDict, Field

from everstep_api.resource import Resource

Text = Annotated[str, Field(max_length=1024)]
Sentence = Annotated[str, Field(max_length=32_768)]
Word = Annotated[str, Field(max_length=253)]
PascalCase = Annotated[str, Field(max_length=128, pattern="^[A-Z][A-Za-z0-9]*$")]
Number = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0, le=100)]
WorldNumber = Annotated[int, Field(ge=1)]


class Told(Resource):
    """A part of the status. What a newer operator wrote and this one does not know is passed over."""

    model_config = ConfigDict(extra="ignore")
