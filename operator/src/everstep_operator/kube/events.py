"""Events of events.k8s.io/v1, each named by what it says.

So the API server itself refuses one that is there already, and then that one only counts on.
"""

import hashlib
from datetime import UTC, datetime

from everstep_api.job import API_VERSION, KIND
from everstep_api.resource import Manifest
from everstep_operator.decide.decision import Event
from everstep_operator.decide.facts import Job
from everstep_operator.kube.client import MERGE_PATCH, Client
from everstep_operator.kube.errors import AlreadyThereError

LONGEST_NOTE = 1024
"""Bytes; the API server refuses longer ones. Conditions have the whole sentence."""


async def tell(client: Client, job: Job, event: Event, *, controller: str, instance: str) -> None:
    """Tell the event, or that it happened once more.

    Args:
        client: The API server.
        job: What it is about.
        event: What it says.
        controller: Who says it, as a qualified name.
        instance: Which of its processes.

    Raises:
        ClusterError: the API server did not answer, or refuses.
    """
    path = f"/apis/events.k8s.io/v1/namespaces/{job.key.namespace}/events"
    manifest = _manifest(job, event, controller=controller, instance=instance)
    try:
        await client.send("POST", path, manifest)
    except AlreadyThereError:
        place = f"{path}/{manifest['metadata']['name']}"
        count = (await client.get(place)).get("series", {}).get("count", 1)
        series = {"count": count + 1, "lastObservedTime": manifest["eventTime"]}
        await client.send("PATCH", place, {"series": series}, content_type=MERGE_PATCH)


def _manifest(job: Job, event: Event, *, controller: str, instance: str) -> Manifest:
    digest = hashlib.sha256(f"{job.uid}/{event.reason}/{event.message}".encode()).hexdigest()
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{job.key.name}.{digest[:16]}", "namespace": job.key.namespace},
        "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": event.type,
        "reason": event.reason,
        "note": _cut(event.message),
        "action": "Reconcile",
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": job.key.namespace,
            "name": job.key.name,
            "uid": job.uid,
        },
        "reportingController": controller,
        "reportingInstance": instance,
    }


def _cut(message: str) -> str:
    text = message.encode()
    if len(text) <= LONGEST_NOTE:
        return message
    mark = "…"
    return text[: LONGEST_NOTE - len(mark.encode())].decode(errors="ignore") + mark
