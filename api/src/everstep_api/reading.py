"""Reads a part of a resource as strictly as the API server does, with all that is wrong at once.

A status is the exception: a newer operator may have written it, as after a rollback or in the middle of an upgrade.
What this release has no field or no word for is passed over in reading, and gone after its next write. What the job
depends on, its world and its end, is written in words that have been there from the first release.
"""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from everstep_api.fields import fields_of
from everstep_api.problems import Problem, not_finite, nulls, problems_of
from everstep_api.resource import Manifest, Resource
from everstep_api.status_part import StatusPart

Part = TypeVar("Part", bound=Resource)


class Unreadable(ValueError):  # noqa: N818  # it is named for what the manifest is, as in `except Unreadable`
    """A manifest that the model refuses; each of its `problems` has the place and the rest of the sentence."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(words.strip(" :") for _, words in self.problems))


def read(model: type[Part], manifest: Manifest) -> Part:
    """The manifest as a model, by the same rules as on the API server: by JSON types, and by the names in camelCase.

    Of a status, what a newer operator wrote and this release does not know is passed over.

    Raises:
        Unreadable: The manifest is none of this model.
    """
    manifest = _known_part(manifest, model)
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


def read_status(model: type[Part], manifest: Manifest) -> Part:
    """The status as a model, like `read`; a status that is known in full, as nearly each is, in a tenth of its time.

    Raises:
        Unreadable: The manifest is none of this model, even without what is unknown.
    """
    try:
        # As text: strictness takes a date for one only where it reads JSON.
        return model.model_validate_json(json.dumps(manifest), by_alias=True, by_name=False)
    except ValidationError:
        return read(model, manifest)


def _known_part(manifest: Manifest, model: type[Resource]) -> Manifest:
    """The manifest without what a newer operator wrote in its status; what is no status stays as it is."""
    known = _known(manifest, model)
    return manifest if known is None else known


def _known(value: Any, model: type[Resource] | None) -> Any:
    """The value without what is unknown in a status; None if it means nothing without that."""
    if isinstance(value, list):
        return [known for entry in value if (known := _known(entry, model)) is not None or entry is None]
    if not isinstance(value, dict):
        return value
    fields = fields_of(model)
    is_status = model is not None and issubclass(model, StatusPart)
    result: Manifest = {}
    for name, item in value.items():
        field = fields.get(name)
        if field is None:
            if not is_status:
                result[name] = item
            continue
        known = _known(item, field.model)
        if is_status and isinstance(item, str) and field.words is not None and item not in field.words:
            known = None
        if known is not None or item is None:
            result[name] = known
        elif field.info.is_required():
            return None
    return result
