"""The examples as files: short, and right without a profile."""

from pathlib import Path

import pytest

from everstep_api.manifest import read_manifests
from everstep_api.resolve import resolve
from tests.paths import EXAMPLES, ROOT


def test_the_smallest_job_has_twenty_lines_or_fewer() -> None:
    lines = (ROOT / "examples" / "finetune-job.yaml").read_text().splitlines()
    assert len([line for line in lines if line.strip() and not line.strip().startswith("#")]) <= 20


@pytest.mark.parametrize("example", [pytest.param(path, id=path.stem) for path in EXAMPLES])
def test_every_example_is_right_without_a_profile(example: Path) -> None:
    (manifest,) = read_manifests(example.read_text())
    assert resolve(manifest["spec"], {}).spec.workers.replicas == 2


def test_there_is_an_example_of_each_beginning() -> None:
    models = [
        resolve(manifest["spec"], {}).spec.recipe.model
        for example in EXAMPLES
        for manifest in read_manifests(example.read_text())
    ]
    assert any(model.source is not None and model.lora is not None for model in models)
    assert any(model.config is not None for model in models)
