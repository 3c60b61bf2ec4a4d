"""What a job is held to from its first start on: a changed profile or a newer operator does not alter a job that runs.

The pin stands in the job's own ConfigMap and goes with the job. Until the first pod is made there is none, so that a
profile by which no pod could be made can still be mended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from everstep_api.job import TrainingJobSpec
from everstep_api.layers import built_in_defaults, layered
from everstep_api.resolve import DEFAULT_PROFILE
from everstep_api.resource import Manifest


class KeyOfConfigMap(NamedTuple):
    """One key of a ConfigMap in the job's namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The layers below the job's own spec, as they were when it first started."""

    profile: str | None
    """Name of the profile; None where the job had none."""
    settings: Manifest
    """The profile's part of a spec."""
    defaults: dict[str, Any]
    """The built-in defaults, by their paths."""
    image: str
    """The image of the workers where neither job nor profile names one."""
    chat_template: str | None = None
    """The text of the ConfigMap's key that the recipe names as its chat template."""

    @property
    def profiles(self) -> Mapping[str, Manifest]:
        """The profiles among which this job chooses."""
        return {} if self.profile is None else {self.profile: self.settings}


def pin_now(spec: Manifest, profiles: Mapping[str, Manifest], *, image: str, chat_template: str | None = None) -> Pin:
    """What a job of this spec is held to if it starts now.

    Args:
        spec: The job's spec as it is written.
        profiles: Those of the cluster.
        image: The release's own image of the workers.
        chat_template: The text that `template_key` names.
    """
    name = spec.get("profile", DEFAULT_PROFILE)
    is_there = isinstance(name, str) and name in profiles
    return Pin(
        profile=name if is_there else None,
        settings=dict(profiles[name]) if is_there else {},
        defaults=built_in_defaults(),
        image=image,
        chat_template=chat_template,
    )


def template_key(spec: Manifest, profiles: Mapping[str, Manifest]) -> KeyOfConfigMap | None:
    """The key of a ConfigMap in which the job's chat template is; None where the recipe names none."""
    found: Any = layered(pin_now(spec, profiles, image="").settings, spec, TrainingJobSpec)
    for field in ("recipe", "model", "chatTemplate", "configMapKeyRef"):
        found = found.get(field) if isinstance(found, dict) else None
    match found:
        case {"name": str(name), "key": str(key)}:
            return KeyOfConfigMap(name=name, key=key)
        case _:
            return None  # what is malformed is told when the spec is read
