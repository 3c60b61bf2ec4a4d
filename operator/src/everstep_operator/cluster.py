"""What the operator asks of a cluster. `kube` and `local` are such clusters; nothing else acts on jobs and pods."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_operator.decide.decision import DoomedPod, Event
from everstep_operator.decide.facts import Job, JobKey, Pod
from everstep_operator.decide.pin import KeyOfConfigMap, Pin


class ClusterError(Exception):
    """A call to the cluster did not succeed.

    ClusterError
    ├── RefusedError     the cluster will not have it as it is: a fact of the next observation
    ├── ConflictError    somebody else wrote first: look again
    └── UnreachableError no answer in time, or none that makes sense: try again later
    """


class RefusedError(ClusterError):
    """The cluster refuses an object; the text is its own sentence."""


class ConflictError(ClusterError):
    """The job was written by somebody else since it was read."""


class UnreachableError(ClusterError):
    """The cluster does not answer."""


class Cluster(Protocol):
    """Jobs, pods and events. Every call that leaves the process has a timeout and raises a `ClusterError`."""

    async def read_job(self, key: JobKey) -> Job | None:
        """Return the job as it is now; None when there is none, or when another controller has it."""
        ...

    async def profiles(self) -> Mapping[str, Manifest]:
        """Return the cluster's profiles, parts of a spec by name."""
        ...

    async def read_key(self, job: Job, key: KeyOfConfigMap) -> str | None:
        """Return the text under this key of a ConfigMap in the job's namespace; None when it is not there."""
        ...

    async def read_pin(self, job: Job) -> Pin | None:
        """Return what the job is held to; None when it never started, or when that was lost."""
        ...

    async def prepare(self, job: Job, pin: Pin, belongings: Sequence[Manifest]) -> None:
        """Have in place what there must be before a pod of the job; that it is there is success.

        Args:
            job: The job.
            pin: What it is held to.
            belongings: What it owns beside its pods.

        Raises:
            RefusedError: The cluster will not have it.
            ConflictError: The job is held to something else by now.
        """
        ...

    async def remove(self, job: Job, belonging: Manifest) -> None:
        """Take this from the job; that the job has none is success, and what belongs to somebody else stays."""
        ...

    def pods(self, job_uid: str) -> tuple[Pod, ...]:
        """Return the pods whose controller is this job, from memory: a change of them wakes the job's reconcile."""
        ...

    async def create_pod(self, manifest: Manifest, *, is_rehearsal: bool = False) -> None:
        """Create the pod; that it exists with the same owner is success.

        Args:
            manifest: The pod.
            is_rehearsal: Whether the cluster is only asked if it would take it.

        Raises:
            RefusedError: The cluster will not have it; nothing was made.
        """
        ...

    async def delete_pod(self, job: Job, pod: DoomedPod) -> None:
        """Begin the pod's end, with its grace period; that it is gone is success."""
        ...

    async def write_status(self, job: Job, status: TrainingJobStatus) -> None:
        """Write the status, if the job is still as it was read.

        Raises:
            ConflictError: It is not.
        """
        ...

    async def delete_job(self, job: Job) -> None:
        """Delete the job; its pods go with it."""
        ...

    async def record(self, job: Job, event: Event) -> None:
        """Tell people of it; that they were told the same a moment ago is success."""
        ...
