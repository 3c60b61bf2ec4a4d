"""Every example is accepted, and our loader reads it as kubectl does."""

import json
from pathlib import Path

import pytest

from devcluster.kubectl import Kubectl
from devcluster.problem import DevclusterError
from everstep_api.manifest import read_manifests
from everstep_api.resolve import SpecError, resolve
from tests.api.agreement import differences
from tests.api.jobs import Jobs
from tests.builders import a_job
from tests.paths import EXAMPLES

MISTRAL = {"model_type": "mistral", "sliding_window": None}
NASTY = Path(__file__).parent / "nasty.yaml"

each_example = pytest.mark.parametrize("example", [pytest.param(path, id=path.stem) for path in EXAMPLES])


@each_example
def test_every_example_is_accepted(kubectl: Kubectl, example: Path) -> None:
    assert "created (server dry run)" in kubectl.run("create", "--dry-run=server", "-f", str(example))


@each_example
def test_our_loader_reads_every_example_as_kubectl_does(kubectl: Kubectl, example: Path) -> None:
    stored = json.loads(kubectl.run("create", "--dry-run=server", "--output=json", "-f", str(example)))
    (ours,) = read_manifests(example.read_text())
    assert not differences(stored["spec"], ours["spec"])
    assert stored["metadata"]["name"] == ours["metadata"]["name"]


def test_our_loader_reads_the_traps_of_yaml_as_kubectl_does(kubectl: Kubectl) -> None:
    """Numbers in all their spellings, words that are booleans, dates, merge keys, tags, keys that are no text."""
    theirs = json.loads(
        kubectl.run("create", "--dry-run=client", "--validate=false", "--output=json", "-f", str(NASTY))
    )
    (ours,) = read_manifests(NASTY.read_text())
    assert not differences(theirs, {**ours, "metadata": theirs["metadata"]})


@pytest.mark.parametrize("quantity", [0, "0.5", ".5", "1.", "+1", "500m", "1.5Gi", "1E", "1e3", "1E-2", "3n", "1" * 32])
def test_a_quantity_of_kubernetes_is_one_here_too(jobs: Jobs, quantity: int | str) -> None:
    job = a_job().setting("spec.workers.resources.limits", {"cpu": quantity})
    assert jobs.try_to_create(job.manifest)["spec"] == job.spec
    assert resolve(job.spec, {}).spec.workers.resources.limits == {"cpu": quantity}


def test_what_is_reserved_in_the_trainer_is_free_beside_it(jobs: Jobs) -> None:
    """Another container has its own environment, and a label's prefix may merely resemble the operator's."""
    beside = {"name": "proxy", "image": "proxy:1", "env": [{"name": "EVERSTEP_JOB", "value": "a"}]}
    template = {"metadata": {"labels": {"team.everstep.dev/a": "b"}}, "spec": {"containers": [beside]}}
    job = a_job().setting("spec.workers.template", template)
    assert jobs.try_to_create(job.manifest)["spec"] == job.spec
    assert resolve(job.spec, {}).spec.workers.template.spec.manifest() == template["spec"]


def test_a_misspelt_field_is_refused_by_its_name(kubectl: Kubectl) -> None:
    text = EXAMPLES[0].read_text().replace("replicas:", "replica:")
    with pytest.raises(DevclusterError, match=r'unknown field "spec\.workers\.replica"'):
        kubectl.run("apply", "-f", "-", stdin=text)


def test_a_number_that_is_none_reaches_no_api_server(kubectl: Kubectl) -> None:
    """kubectl cannot say it in JSON; our loader refuses it with its line."""
    text = EXAMPLES[0].read_text().replace("replicas: 2", "replicas: .nan")
    with pytest.raises(DevclusterError, match="unsupported value: NaN"):
        kubectl.run("apply", "-f", "-", stdin=text)


@pytest.mark.parametrize(("flags", "kept"), [((), False), (("--server-side",), True)], ids=["plain", "server-side"])
def test_a_null_of_the_models_configuration_needs_a_server_side_apply(
    kubectl: Kubectl, flags: tuple[str, ...], *, kept: bool
) -> None:
    """As the description of `config` says: kubectl drops nulls by itself unless the server does the merging."""
    text = json.dumps(
        a_job().setting("spec.recipe.model", {"config": MISTRAL, "tokenizer": {"source": "a/b"}}).manifest
    )
    out = kubectl.run("apply", "--dry-run=server", "--output=json", *flags, "-f", "-", stdin=text)
    config = json.loads(out)["spec"]["recipe"]["model"]["config"]
    assert config == (MISTRAL if kept else {"model_type": "mistral"})


def test_adapters_that_somebody_forgot_to_fill_in_are_not_dropped_in_silence(kubectl: Kubectl) -> None:
    """The API server drops other empty fields. An empty `lora` would mean full fine-tuning, so the operator gets it."""
    text = EXAMPLES[0].read_text().replace("lora: {}", "lora:")
    stored = json.loads(kubectl.run("create", "--dry-run=server", "--output=json", "-f", "-", stdin=text))
    with pytest.raises(SpecError, match=r"spec\.recipe\.model\.lora is empty; write {} to take its defaults"):
        resolve(stored["spec"], {})
