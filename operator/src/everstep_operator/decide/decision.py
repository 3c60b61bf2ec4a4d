"""What shall be: the outcome of a decision, in the order in which it is acted upon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from everstep_api.conditions import Occurrence, Reason
from everstep_api.job import TrainingJobSpec
from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import Action
from everstep_operator.decide.pin import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPod:
    """A pod to be made."""

    worker: int
    replaces: str = ""
    """uid of the pod whose place it takes; its name depends on it, so that one that will not go blocks nobody."""
    image: str = ""
    """Image of its trainer's container; empty: what the spec or the release says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoomedPod:
    """A pod to be deleted; the uid keeps a namesake safe."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that people should read in `kubectl describe`."""

    type: Literal["Normal", "Warning"]
    reason: Reason | Occurrence
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What shall be done about one job now: pods first, then the status, then the directives, then the events."""

    status: TrainingJobStatus
    spec: TrainingJobSpec | None = None
    """The resolved spec; absent when the job's spec is none that can be acted upon."""
    pin: Pin | None = None
    """What the job is held to; in place before a pod is made."""
    prepares: bool = False
    """Whether what there must be before pods has to be put in place though none is made."""
    tries_again: bool = False
    """Whether what the cluster refused before is tried again by this; going through, it is refused no more."""
    create: tuple[NewPod, ...] = ()
    is_rehearsed: bool = False
    """Whether the first of `create` is tried by a dry run before any is made, since its template was never accepted."""
    delete: tuple[DoomedPod, ...] = ()
    directives: Mapping[str, Action] | None = None
    """By pod uid; absent: agents go on with what they were told."""
    events: tuple[Event, ...] = ()
    delete_job: bool = False
    look_again_s: float | None = None
    """Seconds after which time alone may change the decision; absent: never."""

    @property
    def told_spec(self) -> Manifest:
        """The spec as agents get it."""
        return {} if self.spec is None else self.spec.manifest()
