"""The examples as they stand, shortened, on real nodes and with the real model."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from everstep_api.manifest import read_manifests
from everstep_cli import example_bucket
from examples.demo.cluster import PROJECT, Stack
from examples.show import fetch_folder
from tests.builders import JobBuilder
from tests.cluster.jobs import ClusterJob
from tests.fabric.bucket import upload

SHORT: Mapping[str, Mapping[str, Any]] = {
    "finetune": {"duration": {"steps": 3}, "batch": {"size": 4}, "data.maxLength": 128},
    "pretrain": {"duration": {"steps": 6}, "batch": {"size": 4}, "data.maxLength": 64},
}
"""What makes each one a matter of a minute."""


@pytest.fixture(scope="session")
def filled(release: Stack) -> Stack:
    """The release, with the examples' model and data in the bucket."""
    folder = example_bucket.folder(os.environ)
    example_bucket.fill(folder)
    with release.bucket() as bucket:
        for part in ("models", "data"):
            upload(folder / part, f"{bucket}/{part}")
    return release


@pytest.mark.parametrize("name", SHORT)
def test_an_example_becomes_a_model_that_transformers_loads_from_the_bucket(
    stack: Stack,
    filled: Stack,  # noqa: ARG001 - what it puts into the bucket is read by the job
    name: str,
    tmp_path: Path,
) -> None:
    [manifest] = read_manifests((PROJECT / "examples" / f"{name}-job.yaml").read_text())
    builder = JobBuilder.of(manifest)
    for path, value in SHORT[name].items():
        builder = builder.setting(f"spec.recipe.{path}", value)
    with ClusterJob.applied(stack, builder) as job:
        status = job.complete()
        assert status.output is not None
        assert status.progress is not None
        assert status.progress.step == status.progress.total_steps
        assert job.audited().is_complete
        with stack.bucket():
            folder = fetch_folder(status.output.uri, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = tokenizer("def read(path):", return_tensors="pt")
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert loaded(**words).logits.shape[-1] == loaded.config.vocab_size
