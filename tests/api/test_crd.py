"""The CRD on a real API server: it is taken as it is written, it fits, and kubectl explains it."""

import json

import pytest

from devcluster.kubectl import Kubectl
from everstep_api.crd import custom_resource_definition

LARGEST_ANNOTATION = 262_144
"""Bytes that Kubernetes allows for all annotations of an object; `kubectl apply` keeps the whole manifest in one."""

EXPLAINED = {
    "tj.spec.workers": (
        "replicas\t<integer> -required-",
        "Number of workers wanted, 1 to 2048. `kubectl scale` changes it, even while the job runs.",
        "Default: the value of replicas, so that all must be there.",
        "Default: {emptyDir: {}}.",
    ),
    "tj.spec.recovery.maxRestarts": (
        "maxRestarts <integer>",
        "restartWindowSeconds; one more fails it",
        "Default: 10.",
    ),
    "tj.spec.recipe.optimizer.learningRate": ("Default: 2e-4 with lora, 2e-5 for full fine-tuning, 3e-4",),
    "tj.spec.recipe.precision": ("ENUM: bf16 fp32", "Default: bf16."),
    "tj.status.world": ("Number of the world, up to 2147483647; it only grows.",),
}


def test_the_crd_is_small_enough_for_kubectl_apply(kubectl: Kubectl) -> None:
    """The session's CRD was stored by a client-side apply; half of the room is left for what comes."""
    stored = kubectl.get("crd", "trainingjobs.everstep.dev")
    kept = stored["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert json.loads(kept)["spec"] == custom_resource_definition()["spec"]
    assert len(kept.encode()) < LARGEST_ANNOTATION // 2


def test_the_api_server_stores_the_schema_as_it_is_written(kubectl: Kubectl) -> None:
    """Nothing of it is dropped or completed, so that it is structural and says all that it means."""
    (stored,) = kubectl.get("crd", "trainingjobs.everstep.dev")["spec"]["versions"]
    (ours,) = custom_resource_definition()["spec"]["versions"]
    assert stored["schema"] == ours["schema"]


def test_the_api_server_has_no_objection_to_the_schema(kubectl: Kubectl) -> None:
    conditions = kubectl.get("crd", "trainingjobs.everstep.dev")["status"]["conditions"]
    states = {condition["type"]: condition["status"] for condition in conditions}
    assert states == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize(("path", "words"), EXPLAINED.items(), ids=EXPLAINED.keys())
def test_kubectl_explain_teaches(kubectl: Kubectl, path: str, words: tuple[str, ...]) -> None:
    text = kubectl.run("explain", path)
    flat = " ".join(text.split())
    for word in words:
        assert " ".join(word.split()) in flat, text
