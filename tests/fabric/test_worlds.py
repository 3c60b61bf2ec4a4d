"""Worlds of changing size, by the spec's wish and by force: no planned row is lost or counted twice."""

import asyncio
from pathlib import Path

from tests.fabric.job import a_small_job, running


def test_worlds_of_two_one_three_and_two_workers_with_kills_commit_each_row_once(bucket: Path, tmp_path: Path) -> None:
    wanted = {size: a_small_job(bucket, workers=size, steps=5000, at_least=1) for size in (1, 2, 3)}

    async def play() -> None:
        async with running(wanted[2], bucket, tmp_path) as job:
            await job.at_step(7)
            for size in (1, 3, 2):
                await job.change(wanted[size])
                number, step = await job.world_of(size)
                await job.at_step(step + 7, world=number)
                job.kill_rank(0)
                await job.at_step(1, world=number + 1)
            status = await job.at_step(1)
            assert status.recoveries is not None
            assert [loss.cause for loss in status.recoveries.recent] == ["RankKilled"] * 3
            await job.change(wanted[2].suspended())
            await job.until(lambda status: status.phase == "Suspended")
            audited = job.audited()
            assert audited.is_exact
            assert audited.steps > 4 * 7

    asyncio.run(play())


def test_a_suspended_job_ends_its_pods_and_goes_on_with_the_next_step(bucket: Path, tmp_path: Path) -> None:
    builder = a_small_job(bucket, workers=2, steps=60)

    async def play() -> None:
        async with running(builder, bucket, tmp_path) as job:
            await job.at_step(7)
            await job.change(builder.suspended())
            status = await job.until(lambda status: status.phase == "Suspended")
            assert status.workers is not None
            assert status.workers.active == 0
            assert status.progress is not None
            assert status.checkpoints is not None
            assert status.checkpoints.durable is not None
            step = status.checkpoints.durable.step
            assert step >= status.progress.step
            await job.change(builder)
            status = await job.at_step(step + 1, world=2)
            assert status.world is not None
            assert status.world.resumed_from is not None
            assert status.world.resumed_from.step == step
            assert status.recoveries is None, "a planned stop is no loss"
            await job.complete()
            audited = job.audited()
            assert audited.is_complete
            assert audited.void == 0, "no step was taken twice"

    asyncio.run(play())
