"""A job from its manifest to its model, undisturbed and disturbed."""

import asyncio
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.fabric.job import a_small_job, running


def test_one_worker_trains_a_model_that_transformers_loads(bucket: Path, tmp_path: Path) -> None:
    async def play() -> Path:
        async with running(a_small_job(bucket, workers=1, steps=12), bucket, tmp_path) as job:
            status = await job.complete()
            assert status.output is not None
            assert status.output.uri == f"file://{job.folder}/model"
            assert status.progress is not None
            assert (status.progress.step, status.progress.total_steps) == (12, 12)
            assert status.checkpoints is not None
            assert status.checkpoints.durable is not None
            assert status.checkpoints.durable.step == 12
            assert status.recoveries is None
            assert job.audited().is_complete
            return job.folder / "model"

    folder = asyncio.run(play())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    words = tokenizer("rank world", return_tensors="pt")
    assert model(**words).logits.shape[-1] == model.config.vocab_size


def test_two_workers_come_back_from_a_killed_rank(bucket: Path, tmp_path: Path) -> None:
    async def play() -> None:
        async with running(a_small_job(bucket, workers=2, steps=200), bucket, tmp_path) as job:
            await job.at_step(12)
            job.kill_rank(1)
            status = await job.at_step(13, world=2)
            assert status.world is not None
            assert [member.worker for member in status.world.members] == [0, 1]
            assert status.world.resumed_from is not None
            assert status.world.resumed_from.step >= 10
            assert status.recoveries is not None
            [loss] = status.recoveries.recent
            assert (loss.cause, loss.worker, loss.counted) == ("RankKilled", 1, True)
            status = await job.complete()
            assert status.world is not None
            assert status.world.number == 2
            assert job.audited().is_complete

    asyncio.run(play())


def test_two_workers_come_back_from_a_killed_worker(bucket: Path, tmp_path: Path) -> None:
    async def play() -> None:
        async with running(a_small_job(bucket, workers=2, steps=200), bucket, tmp_path) as job:
            await job.at_step(12)
            job.kill_worker(0)
            status = await job.at_step(13, world=2)
            assert status.world is not None
            assert status.world.resumed_from is not None
            assert status.world.resumed_from.step >= 10
            assert status.recoveries is not None
            [loss] = status.recoveries.recent
            assert (loss.cause, loss.worker, loss.counted) == ("WorkerRestarted", 0, True)
            await job.complete()
            assert job.audited().is_complete

    asyncio.run(play())
