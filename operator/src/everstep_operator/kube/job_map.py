"""The job's own ConfigMap: what its pods trust, and what the job is held to from its first start on."""

import json
import logging
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from everstep_api.resource import Manifest
from everstep_operator.cluster import ConflictError
from everstep_operator.decide.facts import Job
from everstep_operator.decide.pin import Pin
from everstep_operator.kube.belongings import is_of, path_of, put_in_place
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import NotFoundError
from everstep_operator.podspec import LABEL, config_map_name, owner_reference

log = logging.getLogger(__name__)

CERTIFICATE, PINNED = "ca.crt", "pinned.json"
_PIN = TypeAdapter(Pin)


async def read_job_map(client: Client, job: Job) -> Pin | None:
    """What the job is held to; None when there is no such ConfigMap, or when it says nothing of it.

    Raises:
        ClusterError: the API server did not answer, or refuses.
    """
    try:
        found = await client.get(f"{path_of('ConfigMap', job)}/{config_map_name(job.key.name)}")
    except NotFoundError:
        return None
    return _pin_in(found) if is_of(found, job) else None


async def write_job_map(client: Client, job: Job, pin: Pin, *, certificate_pem: bytes, is_known: bool) -> None:
    """Make the job's ConfigMap, and take it back from whatever has changed it.

    Args:
        client: The API server.
        job: Whose it is.
        pin: What the job is held to.
        certificate_pem: What its pods trust.
        is_known: Whether the job is known to be held to this; else somebody may have been quicker with something else.

    Raises:
        RefusedError: a ConfigMap of that name belongs to somebody else.
        ConflictError: the job is held to something else.
    """

    def check(found: Manifest) -> None:
        if not is_known and is_of(found, job) and _pin_in(found) not in (None, pin):
            raise ConflictError(f"The job {job.key} was just pinned to something else.")

    await put_in_place(client, job, _config_map(job, pin, certificate_pem), check=check)


def _config_map(job: Job, pin: Pin, certificate_pem: bytes) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": config_map_name(job.key.name),
            "namespace": job.key.namespace,
            "labels": {"app.kubernetes.io/managed-by": "everstep", f"{LABEL}/job-name": job.key.name},
            "ownerReferences": [owner_reference(job)],
        },
        "data": {
            CERTIFICATE: certificate_pem.decode(),
            PINNED: json.dumps(asdict(pin), indent=1, sort_keys=True, allow_nan=False),
        },
    }


def _pin_in(config_map: Manifest) -> Pin | None:
    text = config_map.get("data", {}).get(PINNED)
    if text is None:
        return None
    try:
        return _PIN.validate_json(text)
    except ValidationError as error:
        log.warning("what the job is held to cannot be read: %s", error, extra={"job": config_map["metadata"]["name"]})
        return None
