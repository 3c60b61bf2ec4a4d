"""A model of the Hugging Face hub is fetched by the ranks of a real job and trained on."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.fabric.job import a_small_job, running
from tests.unit.data.tokenizers_made_here import a_tokenizer
from tests.unit.model.hub_made_here import COMMIT, NAME, a_hub
from tests.unit.model.models_made_here import a_saved_model


def test_a_job_trains_a_model_that_its_ranks_fetch_from_the_hub(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the fork server, whose environment the ranks have, at the commit that was the newest when it began."""
    served = tmp_path / "served"
    a_saved_model(served)
    a_tokenizer(chat_template=None).save_pretrained(served)
    for name in [name for name in os.environ if name.startswith("HF_")]:
        monkeypatch.delenv(name)
    builder = a_small_job(bucket, workers=1, steps=3).named("of-hub")
    builder = builder.setting("spec.recipe.model", {"source": f"hf://{NAME}"})

    async def play() -> None:
        async with running(builder, bucket, tmp_path / "home") as job:
            await job.complete()
            assert f"hf://{NAME}@{COMMIT}" in (job.folder / "plan.json").read_text()

    with a_hub(served) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        asyncio.run(play())
    assert sorted(hub.given).count("model.safetensors") == 1
