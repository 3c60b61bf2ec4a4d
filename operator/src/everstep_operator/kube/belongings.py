"""Objects that a job owns: made once, and taken back from whatever has changed them."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from everstep_api.resource import Manifest
from everstep_operator.cluster import ConflictError, RefusedError
from everstep_operator.decide.facts import Job
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import AlreadyThereError, NotFoundError
from everstep_operator.kube.pod_facts import controller_of

_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
}


async def put_in_place(
    client: Client, job: Job, wanted: Manifest, *, check: Callable[[Manifest], None] = lambda _found: None
) -> None:
    """Have the object there as it is wanted.

    Args:
        client: The API server.
        job: Whose it is.
        wanted: The object.
        check: Sees the one that is there, and raises if that shall stay as it is.

    Raises:
        RefusedError: one of that name belongs to somebody else.
        ConflictError: one of that name was deleted meanwhile, as a former job's is.
        ClusterError: the API server did not answer, or refuses.
    """
    path = path_of(wanted["kind"], job)
    try:
        await client.send("POST", path, wanted)
    except AlreadyThereError as there:
        try:
            await _take_over(client, job, wanted, check)
        except NotFoundError as gone:
            raise ConflictError(f"{there} Now it is gone.") from gone


async def _take_over(client: Client, job: Job, wanted: Manifest, check: Callable[[Manifest], None]) -> None:
    """Have the object that is there as it is wanted."""
    path = f"{path_of(wanted['kind'], job)}/{wanted['metadata']['name']}"
    found = await client.get(path)
    if controller_of(found) is None:
        raise RefusedError(
            f"The {wanted['kind']} {job.key.namespace}/{wanted['metadata']['name']} belongs to somebody else;"
            " delete it, or give the job another name."
        )
    check(found)
    if not _holds(found, wanted):
        metadata = {**wanted["metadata"], "resourceVersion": found["metadata"]["resourceVersion"]}
        await client.send("PUT", path, {**wanted, "metadata": metadata})


async def take_away(client: Client, job: Job, unwanted: Manifest) -> None:
    """Delete the object of this kind and name if it is the job's.

    Raises:
        ClusterError: the API server did not answer, or refuses.
    """
    path = f"{path_of(unwanted['kind'], job)}/{unwanted['metadata']['name']}"
    with suppress(NotFoundError, ConflictError):  # a conflict: the name has another object by now
        found = await client.get(path)
        if is_of(found, job):
            await client.send("DELETE", path, {"preconditions": {"uid": found["metadata"]["uid"]}})


def path_of(kind: str, job: Job) -> str:
    """Where objects of this kind are in the job's namespace."""
    return _PATHS[kind].format(namespace=job.key.namespace)


def is_of(found: Manifest, job: Job) -> bool:
    """Whether the object is this job's, and not a former one's of the same name."""
    return (controller_of(found) or {}).get("uid") == job.uid


def _holds(found: Any, wanted: Any) -> bool:
    """Whether nothing is missing of what is wanted; the API server adds fields of its own."""
    match wanted:
        case dict():
            return isinstance(found, dict) and all(_holds(found.get(name), value) for name, value in wanted.items())
        case list():
            return (
                isinstance(found, list)
                and len(found) == len(wanted)
                and all(_holds(one, other) for one, other in zip(found, wanted, strict=True))
            )
        case _:
            return bool(found == wanted)
