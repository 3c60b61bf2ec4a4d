"""Digests: by these a job knows an earlier one's recipe as its own, and a status says which profile was taken."""

import hashlib
import json
from typing import Any

from everstep_api.fields import fields_of
from everstep_api.recipe import Recipe
from everstep_api.resource import UNHASHED_AT, Manifest, Resource, same_weights


def digest_of(value: Manifest) -> str:
    """The digest of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def recipe_hash(recipe: Recipe) -> str:
    """A digest of all that decides which weights come out, the same in each release that reads the recipe alike.

    It is taken before values are derived from model and data. It leaves out what is `same_weights`: how often the job
    evaluates and logs, and how the same sums are computed. And it leaves out a later release's field at the value that
    its absence meant before (`unhashed_at`), so that an upgrade costs no job its checkpoints.
    """
    return digest_of(_hashed(recipe.manifest(), type(recipe)))


def _hashed(value: Any, model: type[Resource] | None) -> Any:
    if isinstance(value, list):
        return [_hashed(entry, model) for entry in value]
    if not isinstance(value, dict):
        return value
    fields = fields_of(model)
    result: Manifest = {}
    for name, item in value.items():
        field = fields.get(name)
        inside = _hashed(item, field.model if field else None)
        if field is None or not (field.has(same_weights) or field.notes(UNHASHED_AT) == [inside]):
            result[name] = inside
    return result
