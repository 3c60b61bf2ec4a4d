"""The state in the workers' memory: a lost rank or worker costs no step that was held."""

import asyncio
from pathlib import Path
from typing import Any

from everstep_api.status import TrainingJobStatus
from tests.builders import JobBuilder
from tests.fabric.job import FabricJob, a_small_job, running

NEVER = 1_000_000


def a_job_in_memory(bucket: Path, **size: Any) -> JobBuilder:
    """One that saves durably at its end alone, as it evaluates, and has a snapshot of each step."""
    return (
        a_small_job(bucket, steps=5000, **size)
        .setting("spec.checkpoint.everySteps", NEVER)
        .setting("spec.checkpoint.resumePolicy", "Never")
        .setting("spec.recipe.evaluation", {"everySteps": NEVER})
        .setting("spec.checkpoint.snapshots.everySteps", 1)
    )


def lost_steps(status: TrainingJobStatus) -> list[int | None]:
    """What each recovery cost, the newest first."""
    assert status.recoveries is not None
    return [loss.lost_steps for loss in status.recoveries.recent]


def resumed_tier(status: TrainingJobStatus) -> str | None:
    assert status.world is not None
    return status.world.resumed_from.tier if status.world.resumed_from is not None else None


async def settled_after(job: FabricJob, world: int) -> TrainingJobStatus:
    """Wait until a world after this one trains, and it is known what its predecessor's loss cost."""
    return await job.until(
        lambda status: (
            status.world is not None
            and status.world.number > world
            and status.world.resumed_from is not None
            and status.progress is not None
            and status.phase == "Running"
            and status.progress.step > status.world.resumed_from.step
        )
    )


def is_held_by_all(status: TrainingJobStatus, world: int) -> bool:
    """Whether all workers of this world, or of a later one, hold a step that it made itself."""
    if status.world is None or status.world.number < world or status.checkpoints is None:
        return False
    begun = status.world.resumed_from.step if status.world.resumed_from is not None else 0
    return status.checkpoints.memory is not None and (status.checkpoints.memory.step or 0) > begun + 5


async def lost_and_back(job: FabricJob, *, worker: int, world: int) -> TrainingJobStatus:
    """Lose a worker with its memory, and wait until as many as before train again."""
    before = await job.until(lambda status: is_held_by_all(status, world))
    job.lose_worker(worker)
    assert before.world is not None
    status = await settled_after(job, before.world.number)
    assert resumed_tier(status) == "Memory"
    return status


async def audit_after_suspension(job: FabricJob, builder: JobBuilder) -> None:
    await job.change(builder.suspended())
    await job.until(lambda status: status.phase == "Suspended")
    audited = job.audited()
    assert audited.is_exact, audited.sentences()
    assert audited.steps > 0


def test_a_killed_rank_costs_no_held_step(bucket: Path, tmp_path: Path) -> None:
    builder = a_job_in_memory(bucket, workers=2).setting("spec.checkpoint.snapshots.copies", 0)

    async def play() -> None:
        async with running(builder, bucket, tmp_path) as job:
            for world, worker in ((1, 0), (2, 1)):
                await job.at_step(10, world=world)
                job.kill_rank(worker)
                status = await settled_after(job, world)
                assert resumed_tier(status) == "Memory"
                assert (lost_steps(status)[0] or 0) <= 2, "the one that was on its way, and the one before it"
            await audit_after_suspension(job, builder)

    asyncio.run(play())


def test_a_worker_that_is_lost_with_its_memory_costs_no_step_that_its_buddy_held(bucket: Path, tmp_path: Path) -> None:
    builder = a_job_in_memory(bucket, workers=2, at_least=1)

    async def play() -> None:
        async with running(builder, bucket, tmp_path) as job:
            status = await lost_and_back(job, worker=1, world=1)
            assert (lost_steps(status)[0] or 0) <= 2
            number, _ = await job.world_of(2)
            status = await lost_and_back(job, worker=0, world=number)
            assert (lost_steps(status)[0] or 0) <= 2
            await audit_after_suspension(job, builder)

    asyncio.run(play())


def test_worlds_of_changing_size_with_kills_go_on_from_memory_alone(bucket: Path, tmp_path: Path) -> None:
    wanted = {size: a_job_in_memory(bucket, workers=size, at_least=1) for size in (1, 2, 3)}

    async def play() -> None:
        async with running(wanted[2], bucket, tmp_path) as job:
            await job.at_step(7)
            for size in (1, 3, 2):
                await job.change(wanted[size])
                number, step = await job.world_of(size)
                await job.at_step(step + 7, world=number)
                job.kill_rank(0)
                status = await settled_after(job, number)
                assert resumed_tier(status) == "Memory"
                assert (lost_steps(status)[0] or 0) <= 2
            status = await job.at_step(1)
            assert status.checkpoints is not None
            assert status.checkpoints.durable is None, "nothing but memory held the work"
            await audit_after_suspension(job, wanted[2])

    asyncio.run(play())
