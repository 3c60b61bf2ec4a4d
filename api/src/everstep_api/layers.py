"""How a job, a profile and the built-in defaults become one spec.

Maps merge, named lists merge by name, and the rest of the upper layer replaces the lower one's. Where a model has a
choice (`one_of`), the upper layer's choice removes the lower one's, or `epochs` of a profile would stand beside `steps`
of a job. An entry of a named list is taken whole from one layer, except the containers of a template, which are merged
like maps. The lower layer's entries come first, except in a list where the first entry that applies counts
(`first_counts`): there the upper layer's have to come first, or they would say nothing.
"""

import copy
from typing import Any

from everstep_api.fields import fields_of
from everstep_api.job import TrainingJobSpec
from everstep_api.resource import Manifest, Resource, first_counts

Defaults = dict[str, Any]
"""Built-in defaults by their paths, such as `recovery.maxRestarts: 10`; `[]` stands for each entry of a list."""

_KEYS = {"ports": "containerPort", "volumeDevices": "devicePath", "volumeMounts": "mountPath"}
"""Fields of a pod's lists that tell their entries apart where it is not `name`; Kubernetes merges by the same."""
_MERGED_ENTRIES = {"containers", "initContainers"}


def layered(lower: Manifest, upper: Manifest, model: type[Resource] | None) -> Manifest:
    """The upper layer over the lower one; both stay as they are."""
    choice = model.one_of if model is not None else ()
    chosen = {member for member in choice if member in upper}
    given_up = {member for member in choice if chosen and member not in chosen}
    result = {name: copy.deepcopy(value) for name, value in lower.items() if name not in given_up}
    for name, value in upper.items():
        below = result.get(name)
        field = fields_of(model).get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            result[name] = layered(below, value, field.model if field else None)
        elif isinstance(value, list) and isinstance(below, list):
            result[name] = _layered_list(name, below, value, upper_first=field is not None and field.has(first_counts))
        else:
            result[name] = copy.deepcopy(value)
    return result


def _layered_list(name: str, lower: list[Any], upper: list[Any], *, upper_first: bool) -> list[Any]:
    """The lower entries in their order, replaced where the upper list has one of the same name, then the others.

    With `upper_first` the upper entries in their order, then the lower ones of other names.
    """
    key = _KEYS.get(name, "name")
    if not all(isinstance(entry, dict) and key in entry for entry in [*lower, *upper]):
        return copy.deepcopy(upper)
    if upper_first:
        taken = [entry[key] for entry in upper]  # no set: what a name is has not been checked yet
        return copy.deepcopy([*upper, *(entry for entry in lower if entry[key] not in taken)])
    rest = copy.deepcopy(upper)
    result = []
    for entry in copy.deepcopy(lower):
        over = next((other for other in rest if other[key] == entry[key]), None)
        if over is not None:
            rest.remove(over)
            result.append(layered(entry, over, None) if name in _MERGED_ENTRIES else over)
        else:
            result.append(entry)
    return [*result, *rest]


def built_in_defaults() -> Defaults:
    """The defaults that the models state, for a job that pins them when it first starts."""
    return dict(_defaults(TrainingJobSpec, ""))


def _defaults(model: type[Resource], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for field in fields_of(model).values():
        path = f"{prefix}{field.name}"
        default = field.info.get_default(call_default_factory=True) if not field.info.is_required() else None
        if field.model is None:
            if default not in (None, (), {}):
                found.append((path, list(default) if isinstance(default, tuple) else default))
            continue
        if isinstance(default, Resource) and field.model.one_of:
            found.append((path, default.manifest()))
        found.extend(_defaults(field.model, f"{path}{'[]' if field.is_list else ''}."))
    return found


def completed(spec: Manifest, defaults: Defaults) -> Manifest:
    """The spec with each default where the spec is silent. What is off when absent stays absent."""
    result = copy.deepcopy(spec)
    _complete(result, TrainingJobSpec, "", defaults)
    return result


def _complete(manifest: Manifest, model: type[Resource], prefix: str, defaults: Defaults) -> None:
    for field in fields_of(model).values():
        path = f"{prefix}{field.name}"
        if field.name not in manifest:
            if path in defaults:
                manifest[field.name] = copy.deepcopy(defaults[path])
            elif field.model is not None and isinstance(field.info.default, Resource):
                manifest[field.name] = {}
        value = manifest.get(field.name)
        if field.model is not None and isinstance(value, dict):
            _complete(value, field.model, f"{path}.", defaults)
        elif field.model is not None and isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict):
                    _complete(entry, field.model, f"{path}[].", defaults)
