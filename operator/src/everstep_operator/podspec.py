"""From a job to the manifests of its pods: pure, and the whole truth about what a worker is given.

The pod template of the job is laid over ours, entry by entry: it adds and overrides, and what it leaves open is ours.
"""

import hashlib
from typing import Any

from everstep_api.job import API_VERSION, KIND, TrainingJobSpec
from everstep_api.layers import layered
from everstep_api.resource import Manifest
from everstep_api.workers import Cache
from everstep_operator.claims import FOLDER, claim_volumes
from everstep_operator.decide.decision import NewPod
from everstep_operator.decide.facts import Job
from everstep_operator.settings import Settings

CONTAINER = "trainer"
PORT = 8470
LABEL = "everstep.dev"

_SYNC = "/var/run/everstep/sync"
_AGENT = "/var/run/everstep/agent"
_CACHE = "/var/cache/everstep"
_TOKEN_SECONDS = 3600
"""The kubelet renews a token at 80 % of its life; a stolen one is worth an hour of one pod's reports."""

_NOBODY = 65532
"""A user without rights or a home, as distroless images have it. Images of the trainer run under any."""


def pod_name(job: Job, pod: NewPod) -> str:
    """The pod's name: the same for the same pod, another one for each replacement."""
    digest = hashlib.sha256(f"{job.uid}/{pod.worker}/{pod.replaces}".encode()).hexdigest()
    return f"{job.key.name}-{pod.worker}-{digest[:5]}"


def audience(namespace: str, job_uid: str) -> str:
    """Whom a worker's token is for: the sync API of this job and nobody else."""
    return f"{LABEL}/{namespace}/{job_uid}"


def config_map_name(job_name: str) -> str:
    """The job's ConfigMap, which carries the authority that signs the sync API's certificate."""
    return f"{job_name}-everstep"


def pod_manifest(job: Job, spec: TrainingJobSpec, pod: NewPod, settings: Settings) -> Manifest:
    """The manifest of one worker's pod."""
    template = spec.workers.template.manifest()
    chosen = template.get("metadata", {})
    ours = _pod_spec(job, spec, pod, settings)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(job, pod),
            "namespace": job.key.namespace,
            "labels": {**chosen.get("labels", {}), **_labels(job, pod)},
            "annotations": chosen.get("annotations", {}),
            "ownerReferences": [owner_reference(job)],
        },
        "spec": layered(ours, template.get("spec", {}), None),
    }


def _pod_spec(job: Job, spec: TrainingJobSpec, pod: NewPod, settings: Settings) -> Manifest:
    return {
        # The agent is process 1: one that ends with an error is started again in the same pod.
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": int(settings.limits.grace.total_seconds()),
        # Workers talk to the sync API alone, by a token of their own.
        "automountServiceAccountToken": False,
        # The variables of a namespace with many services would only slow each process down.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "fsGroup": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, spec, pod, settings)],
        "volumes": [*_volumes(job, spec.workers.cache), *claim_volumes(spec)[0]],
    }


def _container(job: Job, spec: TrainingJobSpec, pod: NewPod, settings: Settings) -> Manifest:
    workers = spec.workers
    return {
        "name": CONTAINER,
        "image": pod.image or workers.image or settings.image,
        "command": ["python", "-m", "everstep_agent"],
        "env": [*_told(job, pod, settings), *(variable.manifest() for variable in workers.env)],
        "envFrom": [{"secretRef": {"name": credential.secret_ref.name}} for credential in spec.credentials],
        "resources": {name: value for name, value in workers.resources.manifest().items() if value},
        "ports": [{"name": "agent", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": PORT}, "periodSeconds": 5},
        # A minute: an agent that a busy machine starves is not dead.
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 10, "failureThreshold": 6},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "everstep-sync", "mountPath": _SYNC, "readOnly": True},
            {"name": "everstep-agent", "mountPath": _AGENT},
            {"name": "everstep-memory", "mountPath": "/dev/shm"},  # noqa: S108 - where NCCL, Gloo and we share memory
            {"name": "everstep-cache", "mountPath": _CACHE},
            {"name": "everstep-scratch", "mountPath": "/tmp"},  # noqa: S108 - the root is read-only
            *claim_volumes(spec)[1],
        ],
    }


def _told(job: Job, pod: NewPod, settings: Settings) -> list[dict[str, Any]]:
    """What the agent is told by its environment. No path is built into it."""
    told = {
        "SYNC_URL": settings.sync_url,
        "NAMESPACE": job.key.namespace,
        "JOB": job.key.name,
        "JOB_UID": job.uid,
        "WORKER": str(pod.worker),
        "GRACE_SECONDS": str(int(settings.limits.grace.total_seconds())),
        "PORT": str(PORT),
        "TOKEN_FILE": f"{_SYNC}/token",
        "CA_FILE": f"{_SYNC}/ca.crt",
        "SOCKET": f"{_AGENT}/ranks.sock",
        "SHM": "/dev/shm/everstep",  # noqa: S108 - the pod's own memory
        "CACHE": _CACHE,
        "CLAIMS": FOLDER,
    }
    fields = {"POD_UID": "metadata.uid", "POD_IP": "status.podIP", "NODE": "spec.nodeName"}
    return [
        *({"name": f"EVERSTEP_{name}", "value": value} for name, value in told.items()),
        *(
            {"name": f"EVERSTEP_{name}", "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in fields.items()
        ),
    ]


def _volumes(job: Job, cache: Cache) -> list[Manifest]:
    token = {"path": "token", "audience": audience(job.key.namespace, job.uid), "expirationSeconds": _TOKEN_SECONDS}
    authority = {"name": config_map_name(job.key.name), "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    return [
        {
            "name": "everstep-sync",
            "projected": {"sources": [{"serviceAccountToken": token}, {"configMap": authority}]},
        },
        {"name": "everstep-agent", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": "everstep-memory", "emptyDir": {"medium": "Memory"}},
        {"name": "everstep-cache", **_cache(cache)},
        {"name": "everstep-scratch", "emptyDir": {}},
    ]


def _cache(cache: Cache) -> Manifest:
    if cache.host_path is not None:
        return {"hostPath": {"path": cache.host_path.path, "type": "DirectoryOrCreate"}}
    return cache.manifest()


def _labels(job: Job, pod: NewPod) -> dict[str, str]:
    return {
        f"{LABEL}/job-name": job.key.name,
        f"{LABEL}/job-uid": job.uid,
        f"{LABEL}/worker-index": str(pod.worker),
        "app.kubernetes.io/name": "everstep",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/instance": job.key.name,
        "app.kubernetes.io/managed-by": "everstep",
    }


def owner_reference(job: Job) -> Manifest:
    """What an object carries that belongs to the job and goes with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": job.key.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
