"""A bucket of S3: a job from its data to its model, and what is said where the bucket cannot be used."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from everstep_api.recipe import Recipe
from everstep_trainer import objects
from everstep_trainer.errors import RefusedError
from everstep_trainer.objects import Store
from everstep_trainer.planning import resolve_all
from tests.fabric.bucket import fill_bucket, upload
from tests.fabric.job import a_small_job, running
from tests.fabric.s3 import BUCKET, S3, a_server, has_toolchain

pytestmark = pytest.mark.skipif(not has_toolchain(), reason="the S3 server is built with Go")
REMEDY = "Make sure that the bucket exists and that spec.credentials holds the keys to it"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with a_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def server(served: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server, which this process and those that it starts find by their environment."""
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    objects._bucket.cache_clear()  # noqa: SLF001 - each test has its own keys
    yield served
    objects._bucket.cache_clear()  # noqa: SLF001 - each test has its own keys


def test_a_job_in_a_bucket_goes_from_its_data_to_its_model(server: S3, tmp_path: Path) -> None:
    address = f"s3://{BUCKET}"
    upload(fill_bucket(tmp_path / "filled"), address)
    builder = a_small_job(address, workers=2, steps=12)
    builder = builder.setting("spec.recipe.data.train", [{"source": f"{address}/data/*.jsonl"}])

    async def play() -> None:
        async with running(builder, server.folder, tmp_path / "home") as job:
            status = await job.complete()
            assert status.output is not None
            assert status.output.uri.startswith(f"{address}/runs/")
            assert job.audited().is_complete
            assert json.loads((job.folder / "result.json").read_text())["step"] == 12
            assert (job.folder / "model" / "model.safetensors").exists()

    asyncio.run(play())


def _probe(address: str) -> None:
    Store.at(f"{address}/runs").probe()


def _resolve(**changes: Any) -> None:
    here = {"source": f"file://{__file__}", "format": "text"}  # what is not looked into
    recipe = {"model": {"source": "file:///none"}, "data": {"train": [here]}, **changes}
    resolve_all(Recipe.model_validate_json(json.dumps(recipe)))


def _read_data(address: str) -> None:
    _resolve(data={"train": [{"source": f"{address}/data/*.jsonl"}]})


def _read_object(address: str) -> None:
    _resolve(data={"train": [{"source": f"{address}/data/text.jsonl"}]})


def _read_model(address: str) -> None:
    _resolve(model={"source": f"{address}/models/bytes"})


@pytest.mark.parametrize("ask", [_probe, _read_data, _read_object, _read_model])
@pytest.mark.parametrize(
    ("bucket", "secret"),
    [pytest.param("no-such-bucket", "secret", id="missing"), pytest.param(BUCKET, "wrong", id="wrong keys")],
)
@pytest.mark.usefixtures("server")
def test_a_bucket_that_cannot_be_used_is_refused_with_what_to_change(
    ask: Callable[[str], None], bucket: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    assert os.environ["AWS_ACCESS_KEY_ID"]

    with pytest.raises(RefusedError) as refused:
        ask(f"s3://{bucket}")

    expected = "names no object; correct the address" if ask is _read_object and secret == "secret" else REMEDY  # noqa: S105
    assert expected in refused.value.sentence
    assert bucket in refused.value.sentence
