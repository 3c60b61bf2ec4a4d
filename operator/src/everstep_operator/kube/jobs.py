"""Where TrainingJobs are at the API server, and which there are."""

import asyncio
import logging

from everstep_api.job import API_VERSION, PLURAL
from everstep_operator.cluster import ClusterError
from everstep_operator.decide.facts import JobKey
from everstep_operator.kube.client import KEYS_ONLY, Client, collected
from everstep_operator.kube.errors import NotFoundError

log = logging.getLogger(__name__)

_LOOK_S = 2.0


def jobs_path(namespace: str | None) -> str:
    """The list of TrainingJobs: of a namespace, or of all."""
    return f"/apis/{API_VERSION}/{f'namespaces/{namespace}/' if namespace else ''}{PLURAL}"


def job_path(key: JobKey) -> str:
    """One TrainingJob."""
    return f"{jobs_path(key.namespace)}/{key.name}"


async def job_keys(client: Client, namespace: str | None) -> list[JobKey]:
    """The places of all jobs, without their bodies.

    Raises:
        ClusterError: the API server did not answer, or refuses.
    """
    items = await collected(client, jobs_path(namespace), {}, accept=KEYS_ONLY)
    return [JobKey(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]


async def kind_is_served(client: Client) -> None:
    """Wait until the API server serves TrainingJobs; the first time that it does not, say what to do."""
    is_said = False
    while True:
        try:
            found = await client.get(f"/apis/{API_VERSION}")
            if any(resource["name"] == PLURAL for resource in found["resources"]):
                return
        except NotFoundError:
            pass
        except ClusterError as error:
            log.info("the API server cannot be asked for its kinds: %s", error)
        if not is_said:
            log.warning("the API server knows no TrainingJobs yet; apply crds/ or let the chart do so")
        is_said = True
        await asyncio.sleep(_LOOK_S)
