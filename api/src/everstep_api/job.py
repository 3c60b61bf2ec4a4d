"""The TrainingJob: one resource that says what to train, on how many workers, and where the work is kept.

`TrainingJobSpec` read from a manifest alone knows no profile; `resolve` is the way to a spec that can be acted upon.
"""

import math
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from everstep_api.addresses import StoreAddress
from everstep_api.recipe import Recipe
from everstep_api.recovery import Checkpoint, Recovery
from everstep_api.resource import Resource, absent, by_name, derived, job_only
from everstep_api.rules import Rule, Transition, formatted, matches, quoted, unchanged
from everstep_api.status import TrainingJobStatus
from everstep_api.values import Name, ObjectName, Seconds
from everstep_api.workers import Workers

GROUP = "everstep.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "TrainingJob"
PLURAL = "trainingjobs"
DEFAULT_CONTROLLER = f"{GROUP}/operator"
NEVER_CHANGING = {("recipe",), ("storage",), ("profile",), ("managedBy",)}
"""Paths in the spec of what makes the job itself; with another value it would be another job."""
LONGEST_NAME = 42
"""A pod is called {job}-{index}-{5 hex digits}, and a label value holds 63 characters: 42 leave room for the objects to
come."""


class Storage(Resource):
    """Where the job keeps everything that it must not lose."""

    uri: StoreAddress
    """Address under which checkpoints, logs and the model are written: s3, gs, az, pvc or file."""


class SecretName(Resource):
    """A Secret of the job's namespace."""

    name: ObjectName
    """Name of the Secret."""


class Credential(Resource):
    """A Secret whose keys become environment variables of the workers."""

    name: Name
    """Name of the entry."""
    secret_ref: SecretName
    """The Secret, with keys such as AWS_ACCESS_KEY_ID, GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_KEY, HF_TOKEN."""


class Output(Resource):
    """The finished model."""

    uri: Annotated[StoreAddress | None, derived("model/ in the job's folder under storage.uri")] = None
    """Address to which the model is written."""
    dtype: Literal["bf16", "fp32"] = "bf16"
    """Number format in which the weights are written."""
    weights: Literal["merged", "adapter", "both"] = "merged"
    """With lora: whether the adapters are merged into the model (`merged`), written alone (`adapter`), or both."""


class TrainingJobSpec(Resource):
    """What to train, on how many workers, and where the work is kept."""

    guards = (
        Rule.of(
            "!has(self.startupDeadlineSeconds) || !has(self.activeDeadlineSeconds)"
            " || self.startupDeadlineSeconds <= self.activeDeadlineSeconds",
            holds=lambda spec: (spec.startup_deadline_seconds or 0) <= (spec.active_deadline_seconds or math.inf),
            says="startupDeadlineSeconds is %d but activeDeadlineSeconds is %d; use %d or less",
            shows=["startupDeadlineSeconds", "activeDeadlineSeconds", "activeDeadlineSeconds"],
            at=".startupDeadlineSeconds",
        ),
    )

    transitions = (
        Transition.of(
            "self.recipe == oldSelf.recipe",
            says="the recipe of a job never changes; delete the job and apply it anew, or apply it under another name",
            at=".recipe",
        ),
        Transition.of(
            "self.storage.uri == oldSelf.storage.uri",
            says="storage.uri is %s and cannot become %s; apply the job under another name to store its work elsewhere",
            shows=["oldSelf.storage.uri", "self.storage.uri"],
            at=".storage",
        ),
        *(
            Transition.of(
                unchanged("", field),
                says=f"{field} is %s and cannot become %s; delete the job and apply it anew",
                shows=[f'oldSelf.?{field}.orValue("absent")', f'self.?{field}.orValue("absent")'],
                at=f".{field}",
            )
            for field in ("profile", "managedBy")
        ),
    )

    profile: Annotated[Name | None, job_only, absent("the profile `default`, if there is one")] = None
    """Name of the cluster's profile, whose settings apply where the job has none. It never changes once the job
    exists."""
    recipe: Recipe
    """What is trained on what, and how. It never changes once the job exists."""
    storage: Annotated[Storage, job_only]
    """Where the job keeps everything that it must not lose. It never changes once the job exists."""
    workers: Workers
    """The workers: how many, and what their pods are made of. While the job is not suspended, only replicas and
    minReplicas change."""
    credentials: Annotated[tuple[Credential, ...], Field(max_length=16), by_name, absent("workload identity")] = ()
    """Secrets with the keys to storage, data and models. Changes only while suspended."""
    checkpoint: Checkpoint = Checkpoint()
    """How often the work is saved, and which work a new job takes up."""
    output: Output = Output()
    """The finished model."""
    recovery: Recovery = Recovery()
    """How many failures the job survives, and when a lack of progress counts as one."""
    suspend: Annotated[bool, job_only] = False
    """Whether the job is to pause without pods. Its work is saved first, and goes on from there when this is false
    again."""
    managed_by: Annotated[str, Field(min_length=1, max_length=128), job_only] = DEFAULT_CONTROLLER
    """Name of the controller that runs the job; all others leave it alone. It never changes once the job exists."""
    active_deadline_seconds: Annotated[Seconds | None, absent("no limit")] = None
    """Seconds after status.startTime at which the job fails; suspending the job stops and resets the count."""
    startup_deadline_seconds: Annotated[Seconds | None, absent("no limit")] = None
    """Seconds that the job may take from admission to its first step before it fails."""
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=31_536_000), absent("the job stays")] = None
    """Seconds after its end until the job is deleted; what it wrote to the storage stays."""
    clean_pod_policy: Literal["Running", "All", "None"] = "Running"
    """Which pods are cleaned up, that is deleted, when the job ends: those still running (`Running`), all of them
    (`All`),
    or none (`None`). Finished pods keep their logs until they are deleted."""


_WAS_SUSPENDED = "oldSelf.spec.?suspend.orValue(false)"
_ACTIVE = "oldSelf.?status.?workers.?active.orValue(0)"
_COUNTS = {"replicas", "minReplicas"}


def _only_while_suspended(path: str) -> Transition:
    """Allow a change of the field when the stored job was to be suspended and had no pods left.

    The change may come with `suspend: false` in one write, so that a corrected file can simply be applied.
    """
    parent, _, field = f".spec.{path}".rpartition(".")
    running = quoted(
        f"{path} changes only while the job is suspended, so nothing was applied; apply suspend: true alone, "
        "wait until no worker is active, then apply the rest"
    )
    stopping = formatted(
        f"{path} changes only when no worker is active but %d still are, so nothing was applied; "
        "wait until status.workers.active is 0, then apply it again",
        [_ACTIVE],
    )
    return Transition(
        cel=f"{unchanged(parent, field)} || ({_WAS_SUSPENDED} && {_ACTIVE} == 0)",
        sentence_cel=f"{_WAS_SUSPENDED} ? {stopping} : {running}",
        at=f"{parent}.{field}",
    )


class Metadata(Resource):
    """What each object of Kubernetes has."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[
        str,
        Field(max_length=253),
        Rule.of(
            f"size(self) <= {LONGEST_NAME}",
            holds=lambda name: len(name) <= LONGEST_NAME,
            says=f"%s is too long for the names of its pods; use {LONGEST_NAME} characters or fewer",
            shows=[""],
        ),
        matches(
            "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
            says="%s cannot be part of a host name; use lowercase letters and digits, and '-' between them",
        ),
    ]
    """Name of the job, of 42 characters or fewer."""


class TrainingJob(Resource):
    """A model to train. `kubectl get tj` shows the step, the loss and the reason it waits."""

    transitions = (
        Transition.of(
            "!has(oldSelf.status) || has(self.status)",
            says="the status would be lost; write it with the job, or leave the status subresource alone",
            at=".status",
        ),
        _only_while_suspended("credentials"),
        *(
            _only_while_suspended(f"workers.{field.alias}")
            for field in Workers.model_fields.values()
            if field.alias not in _COUNTS
        ),
    )

    api_version: Literal["everstep.dev/v1alpha1"]
    """Version of the resource."""
    kind: Literal["TrainingJob"]
    """Kind of the resource."""
    metadata: Metadata
    """Name, namespace, labels and annotations."""
    spec: TrainingJobSpec
    """What is wanted."""
    status: TrainingJobStatus | None = None
    """What is; written by the operator alone."""
