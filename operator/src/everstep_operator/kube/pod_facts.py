"""From a pod as the API server has it to the few facts that decide anything: a hundredth of its bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from everstep_api.job import API_VERSION, KIND
from everstep_api.resource import Manifest
from everstep_operator.decide.facts import Ending, JobKey, Obstacle, Pod, PodPhase
from everstep_operator.kube.image_names import named_with_digest
from everstep_operator.podspec import CONTAINER, LABEL

_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons by which a kubelet says that it is at work; all others say what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedPod:
    """A pod of a job."""

    key: JobKey
    """The job's place."""
    job_uid: str
    pod: Pod


def owned_pod(manifest: Manifest) -> OwnedPod | None:
    """The pod's facts; None when its controller is no TrainingJob, whatever its labels say."""
    metadata = manifest["metadata"]
    owner = controller_of(manifest)
    index = metadata.get("labels", {}).get(f"{LABEL}/worker-index", "")
    if owner is None or not index.isdecimal():
        return None
    return OwnedPod(
        key=JobKey(metadata["namespace"], owner["name"]),
        job_uid=owner["uid"],
        pod=_pod(manifest, worker=int(index)),
    )


def controller_of(manifest: Manifest) -> Manifest | None:
    """The reference to the job that controls the object; None when something else does, or nothing."""
    for owner in manifest["metadata"].get("ownerReferences", []):
        if owner.get("controller") and owner["kind"] == KIND and owner["apiVersion"] == API_VERSION:
            return cast("Manifest", owner)
    return None


def _pod(manifest: Manifest, *, worker: int) -> Pod:
    metadata, status = manifest["metadata"], manifest.get("status", {})
    trainer: Manifest = next(
        (container for container in status.get("containerStatuses", []) if container["name"] == CONTAINER), {}
    )
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        worker=worker,
        phase=_phase(status.get("phase", "Pending")),
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        node=manifest.get("spec", {}).get("nodeName", ""),
        is_deleted="deletionTimestamp" in metadata,
        image=named_with_digest(_images(manifest).get(CONTAINER, ""), trainer.get("imageID", "")),
        scheduled=_scheduled(status),
        obstacle=next(_obstacles(manifest), None),
        started=_started(trainer),
        restarts=trainer.get("restartCount", 0),
        last_ending=_ending(trainer),
    )


def _images(manifest: Manifest) -> dict[str, str]:
    """The images by container as the pod names them; the kubelet's status may name them otherwise."""
    spec = manifest.get("spec", {})
    containers = [*spec.get("initContainers", []), *spec.get("containers", [])]
    return {container["name"]: container["image"] for container in containers}


def _phase(phase: str) -> PodPhase:
    match phase:
        case "Pending" | "Running" | "Succeeded" | "Failed":
            return phase
        case _:
            # `Unknown` is what a kubelet that cannot be reached was once given; its pod may well run.
            return "Running"


def _obstacles(manifest: Manifest) -> Iterator[Obstacle]:
    """What is said to be wrong, the most telling first: the node's ending of it, the scheduler, the containers."""
    status = manifest.get("status", {})
    disruption = _condition(status, "DisruptionTarget")
    if disruption.get("status") == "True":
        yield _obstacle(disruption)
    if status.get("reason"):
        yield _obstacle(status)
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        yield _obstacle(scheduled)
    images = _images(manifest)
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "ContainerCreating") not in _STARTING:
            yield _obstacle(waiting, container=container["name"], image=images.get(container["name"], ""))


def _condition(status: Manifest, kind: str) -> Manifest:
    return next((condition for condition in status.get("conditions", []) if condition["type"] == kind), {})


def _obstacle(said: Manifest, **where: str) -> Obstacle:
    return Obstacle(reason=said.get("reason", ""), message=said.get("message", ""), **where)


def _scheduled(status: Manifest) -> datetime | None:
    """When the pod was given its node, to the second."""
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") != "True" or "lastTransitionTime" not in scheduled:
        return None
    return datetime.fromisoformat(scheduled["lastTransitionTime"])


def _started(container: Manifest) -> datetime | None:
    """When the container that runs now was started, to the second."""
    started = container.get("state", {}).get("running", {}).get("startedAt")
    return datetime.fromisoformat(started) if started else None


def _ending(container: Manifest) -> Ending | None:
    """How the container ended the last time: now, or before it was started again."""
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if not ended:
        return None
    return Ending(exit_code=ended["exitCode"], reason=ended.get("reason", "Error"))
