"""Pods as an API server has them."""

from tests.builders import Manifest


def a_pod(
    uid: str = "pod-0", *, worker: int = 0, job: str = "finetune", version: str = "1", **status: object
) -> Manifest:
    """A pod of the job, with this status."""
    return {
        "metadata": {
            "name": f"{job}-{worker}-{uid}",
            "namespace": "default",
            "uid": uid,
            "resourceVersion": version,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"everstep.dev/worker-index": str(worker), "everstep.dev/job-uid": f"uid-of-{job}"},
            "ownerReferences": [
                {
                    "apiVersion": "everstep.dev/v1alpha1",
                    "kind": "TrainingJob",
                    "name": job,
                    "uid": f"uid-of-{job}",
                    "controller": True,
                }
            ],
        },
        "status": {"phase": "Pending", **status},
    }


def a_list(*pods: Manifest, version: str = "10", rest: str = "") -> Manifest:
    """A page of a list."""
    return {"metadata": {"resourceVersion": version, "continue": rest}, "items": list(pods)}


def an_event(kind: str, pod: Manifest) -> Manifest:
    """A line of a watch."""
    return {"type": kind, "object": pod}


FORGOTTEN: Manifest = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 10 (20)"},
}
