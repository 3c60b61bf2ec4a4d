"""What a job is held to from its first start on: a changed profile or a newer operator does not alter a job that runs.

The pin stands in the job's own ConfigMap and goes with the job. Until the first pod is made there is none, so that a
profile by which no pod could be made can still be mended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everstep_api.layers import built_in_defaults
from everstep_api.resolve import DEFAULT_PROFILE
from everstep_api.resource import Manifest


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

    @property
    def profiles(self) -> Mapping[str, Manifest]:
        """The profiles among which this job chooses."""
        return {} if self.profile is None else {self.profile: self.settings}


def pin_now(spec: Manifest, profiles: Mapping[str, Manifest], *, image: str) -> Pin:
    """What a job of this spec is held to if it starts now.

    Args:
        spec: The job's spec as it is written.
        profiles: Those of the cluster.
        image: The release's own image of the workers.
    """
    name = spec.get("profile", DEFAULT_PROFILE)
    is_there = isinstance(name, str) and name in profiles
    return Pin(
        profile=name if is_there else None,
        settings=dict(profiles[name]) if is_there else {},
        defaults=built_in_defaults(),
        image=image,
    )
