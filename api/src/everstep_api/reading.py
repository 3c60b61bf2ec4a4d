"""Reads a part of a resource as strictly as the API server does, with all that is wrong at once."""

import json
from collections.abc import Sequence
from typing import TypeVar

from pydantic import ValidationError

from everstep_api.problems import Problem, not_finite, nulls, problems_of
from everstep_api.resource import Manifest, Resource

Part = TypeVar("Part", bound=Resource)


class Unreadable(ValueError):  # noqa: N818  # it is named for what the manifest is, as in `except Unreadable`
    """A manifest that the model refuses; each of its `problems` has the place and the rest of the sentence."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(words.strip(" :") for _, words in self.problems))


def read(model: type[Part], manifest: Manifest) -> Part:
    """The manifest as a model, by the same rules as on the API server: by JSON types, and by the names in camelCase.

    Raises:
        Unreadable: The manifest is none of this model.
    """
    if infinite := list(not_finite(manifest)):
        raise Unreadable(infinite)
    empty = list(nulls(manifest, model))
    try:
        part = model.model_validate_json(json.dumps(manifest), by_alias=True, by_name=False)
    except ValidationError as error:
        said = {path for path, _ in empty}
        raise Unreadable([*empty, *(found for found in problems_of(error, model) if found[0] not in said)]) from error
    if empty:
        raise Unreadable(empty)
    return part
