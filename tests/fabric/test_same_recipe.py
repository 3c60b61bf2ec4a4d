"""A job that is deleted and applied again goes on where it was; with another recipe it begins afresh beside it."""

import asyncio
from pathlib import Path

import pytest

from tests.fabric.job import a_small_job, running


@pytest.mark.parametrize(
    ("name", "change", "value", "is_taken_up"),
    [
        pytest.param("same", "spec.recipe.logEverySteps", 2, True, id="the same recipe, told of at other steps"),
        pytest.param("other", "spec.recipe.optimizer", {"learningRate": 1e-4}, False, id="another recipe"),
        pytest.param("never", "spec.checkpoint.resumePolicy", "Never", False, id="the wish to begin afresh"),
    ],
)
def test_a_job_that_is_applied_again_takes_up_the_work_of_the_same_recipe(
    bucket: Path, tmp_path: Path, *, name: str, change: str, value: object, is_taken_up: bool
) -> None:
    builder = a_small_job(bucket, workers=1, steps=40).named(name).without("spec.checkpoint.resumePolicy")

    async def play() -> None:
        async with running(builder, bucket, tmp_path / "first") as job:
            await job.at_step(12)
        async with running(builder.setting(change, value), bucket, tmp_path / "second") as job:
            status = await job.complete()
            assert status.world is not None
            resumed = status.world.resumed_from
            if is_taken_up:
                assert resumed is not None
                assert resumed.step >= 10
            else:
                assert resumed is None
            assert job.audited().is_complete

    asyncio.run(play())
