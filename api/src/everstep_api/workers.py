"""How many workers a job has and what their pods are made of."""

from typing import Annotated, Literal

from pydantic import Field

from everstep_api.environment import EnvironmentVariable
from everstep_api.resource import Resource, absent, by_name, derived, job_only
from everstep_api.rules import Rule, exactly_one_of, matches
from everstep_api.template import Template
from everstep_api.values import ObjectName, Quantities, Quantity, auto_or

MOST_WORKERS = 2048
"""A world's members are written with each status; 2,048 of them are 150 kB, a tenth of what etcd takes in one write."""

WorkerCount = Annotated[int, Field(ge=1, le=MOST_WORKERS)]


class Resources(Resource):
    """What one worker may use."""

    limits: Annotated[Quantities, absent("no limit")] = Field(default_factory=dict)
    """Upper bounds by resource, such as `nvidia.com/gpu: 8` and `memory: 64Gi`. Write each as a whole number or as
    text, a fraction as text only: half a CPU is `500m` or `"0.5"` in quotes. Memory counts /dev/shm."""
    requests: Annotated[Quantities, derived("the limits")] = Field(default_factory=dict)
    """What the scheduler sets aside, by resource; each a whole number or text, as in limits."""


class EmptyDirectory(Resource):
    """A folder that lives as long as the pod, on the node's disk or in memory."""

    medium: Annotated[Literal["Memory"] | None, absent("the node's disk")] = None
    """`Memory` keeps the folder in the pod's memory."""
    size_limit: Annotated[Quantity | None, absent("no limit")] = None
    """Most bytes that the folder may hold: text with a unit, such as `200Gi`, or a whole number."""


class Claim(Resource):
    """A PersistentVolumeClaim of the job's namespace."""

    claim_name: ObjectName
    """Name of the claim. Several workers need one that several nodes can write (ReadWriteMany)."""


class HostDirectory(Resource):
    """A folder of the node, which stays there after the job."""

    path: Annotated[
        str,
        Field(max_length=1024),
        matches("/.*", says="'%s' is not an absolute path; begin it with /"),
    ]
    """Absolute path on the node; made when it is missing."""


class Cache(Resource):
    """Where a worker keeps what it can fetch or compute again. Exactly one kind."""

    one_of = ("emptyDir", "persistentVolumeClaim", "hostPath")
    guards = (exactly_one_of(*one_of),)

    empty_dir: Annotated[EmptyDirectory | None, absent("another kind is given")] = None
    """A folder of the pod: each new pod fetches anew."""
    persistent_volume_claim: Annotated[Claim | None, absent("another kind is given")] = None
    """A claim: fetched once for all workers that mount it."""
    host_path: Annotated[HostDirectory | None, absent("another kind is given")] = None
    """A folder of the node: fetched once for each node."""


class Workers(Resource):
    """The workers of a job."""

    guards = (
        Rule.of(
            "!has(self.minReplicas) || self.minReplicas <= self.replicas",
            holds=lambda workers: workers.min_replicas is None or workers.min_replicas <= workers.replicas,
            says="minReplicas is %d but replicas is %d; set replicas to %d or more",
            shows=["minReplicas", "replicas", "minReplicas"],
            at=".minReplicas",
        ),
    )

    replicas: Annotated[WorkerCount, job_only]
    """Number of workers wanted, 1 to 2048. `kubectl scale` changes it, even while the job runs."""
    min_replicas: Annotated[WorkerCount | None, derived("the value of replicas, so that all must be there")] = None
    """Fewest workers with which the job trains when others are lost or not available; it grows back to replicas."""
    image: Annotated[
        str | None, Field(min_length=1, max_length=512), derived("the trainer image of the operator's release")
    ] = None
    """Image of the workers. Its digest is pinned in the status when the job first starts."""
    resources: Resources = Resources()
    """What each worker may use: limits and requests as in a container."""
    processes_per_worker: Annotated[int | Literal["auto"], auto_or("processes")] = "auto"
    """Ranks in each worker. Write a whole number, or `auto` for one per device that the worker sees (1 without any)."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=128), by_name, absent("none")] = ()
    """Environment variables of the ranks, by name."""
    cache: Cache = Cache(empty_dir=EmptyDirectory())
    """Where a worker keeps what it can fetch or compute again (weights, tokenized data, compiled kernels): exactly
    one of
    emptyDir, persistentVolumeClaim, hostPath."""
    template: Template = Template()
    """A pod template for whatever else a pod can have; it is merged into the pod that the operator makes."""
