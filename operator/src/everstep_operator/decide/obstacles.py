"""What keeps workers from starting, as sentences that name the field of the job by which it can be mended."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from everstep_api import sentences
from everstep_api.conditions import Statement
from everstep_api.job import TrainingJobSpec
from everstep_operator.decide.facts import Obstacle, Pod

TRAINER = "trainer"
_NO_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""Reasons of a kubelet that has no image (k8s.io/kubernetes/pkg/kubelet/images/types.go)."""
_NO_NODE = frozenset({"Unschedulable", "SchedulingGated", "SchedulerError"})
_RESTARTING = "CrashLoopBackOff"
_SLOW = timedelta(minutes=1)

_NO_OBJECT = re.compile(r'\b(secret|configmap) "([^"]+)" not found')
_NO_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) [^/\s]+/(\S+)")
"""What a kubelet says of an environment that it cannot make (k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go)."""
_KINDS = {"secret": "Secret", "configmap": "ConfigMap"}


class Missing(NamedTuple):
    """An object that is not there, or has not the key."""

    kind: str
    name: str
    key: str | None = None


def scheduling_causes(wanted: Sequence[Pod]) -> list[str]:
    """Why pods have no node, each cause once, in the scheduler's words."""
    said = (pod.obstacle for pod in wanted if pod.phase == "Pending" and not pod.node and pod.obstacle is not None)
    return sorted({obstacle.message or obstacle.reason for obstacle in said})


def start_trouble(wanted: Sequence[Pod], spec: TrainingJobSpec, *, replicas: int) -> Statement | None:
    """What keeps workers that have a node from starting; None when nothing is known to be wrong.

    Of several troubles that of the lowest worker is told: mended together, they seldom differ.
    """
    troubled = [(pod, pod.obstacle) for pod in wanted if pod.obstacle is not None and _is_trouble(pod.obstacle)]
    if not troubled:
        return None
    pod, obstacle = troubled[0]
    some = len(troubled)
    missing = _missing_in(obstacle.message)
    if obstacle.reason in _NO_IMAGE:
        field, said = _image_field(obstacle.container), obstacle.message or obstacle.reason
        return sentences.image_pull_failed(some, wanted=replicas, image=obstacle.image, said=said, field=field)
    if missing is not None:
        kind, name, key = missing
        lack = f"there is no {kind} {name}" if key is None else f"the {kind} {name} has no key {key}"
        remedy = "create it in the namespace of the job" if key is None else "add the key"
        field = next(_names(spec, missing), "spec.workers.template")
        return sentences.reference_missing(some, wanted=replicas, lack=lack, field=field, remedy=remedy)
    return sentences.worker_cannot_start(some, wanted=replicas, said=str(obstacle), pod=pod.name)


def slow_start(wanted: Sequence[Pod], now: datetime) -> str | None:
    """What is to be said of a worker that is long on its node without a container, though nobody says why."""
    for pod in wanted:
        is_late = pod.scheduled is not None and now - pod.scheduled >= _SLOW
        if is_late and pod.phase == "Pending" and pod.obstacle is None:
            return sentences.slow_start(pod.worker, node=pod.node, pod=pod.name)
    return None


def _is_trouble(obstacle: Obstacle) -> bool:
    """Whether it is about the start of a container; a trainer that ends again and again is told of by its endings."""
    if not obstacle.container or obstacle.reason in _NO_NODE:
        return False
    return obstacle.reason != _RESTARTING or obstacle.container != TRAINER


def _image_field(container: str) -> str:
    if container == TRAINER:
        return "spec.workers.image"
    return f"the image of the container {container} in spec.workers.template"


def _missing_in(message: str) -> Missing | None:
    if (found := _NO_KEY.search(message)) is not None:
        return Missing(kind=found[2], name=found[3], key=found[1])
    if (found := _NO_OBJECT.search(message)) is not None:
        return Missing(kind=_KINDS[found[1]], name=found[2])
    return None


def _names(spec: TrainingJobSpec, missing: Missing) -> Iterator[str]:
    """The fields of the job that name the object, and its key where that is what is missing."""
    for credential in spec.credentials:
        if missing.kind == "Secret" and credential.secret_ref.name == missing.name:
            yield f"spec.credentials[{credential.name}].secretRef"
    for variable in spec.workers.env:
        source = variable.value_from
        if source is None:
            continue
        field, selector = ("secretKeyRef", source.secret_key_ref)
        if missing.kind == "ConfigMap":
            field, selector = ("configMapKeyRef", source.config_map_key_ref)
        if selector is not None and selector.name == missing.name and missing.key in {None, selector.key}:
            yield f"spec.workers.env[{variable.name}].valueFrom.{field}"
