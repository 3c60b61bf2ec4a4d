"""Runs a job by the local cluster: real operator, sync API, agents, ranks and store, but no Kubernetes."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from everstep_api.conditions import ConditionType
from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_operator.decide.facts import JobKey
from everstep_operator.local.plane import LOCAL_LIMITS, LocalPlane, local_plane
from everstep_trainer.data.audit import Audit, audit
from everstep_trainer.objects import Store
from tests.builders import JobBuilder, a_job

PATIENCE_S = 240.0
"""Limit of one wait. Two workers import torch and transformers in 5 s on two idle cores, in a minute on busy ones."""
_SHM = "EVERSTEP_SHM="


def a_small_job(bucket: Path | str, *, workers: int, steps: int, at_least: int | None = None) -> JobBuilder:
    """A Llama of two layers from random weights: some 50 ms a step.

    Args:
        bucket: A folder or an address that holds what `fill_bucket` writes.
        workers: How many.
        steps: How many.
        at_least: With how many workers it goes on.
    """
    root = bucket if isinstance(bucket, str) else f"file://{bucket}"
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
    }
    model = {"config": config, "tokenizer": {"source": f"{root}/models/bytes"}}
    return (
        a_job()
        .named("small")
        .workers(workers, at_least=at_least)
        .setting("spec.recipe.model", model)
        .setting("spec.recipe.data", {"train": [{"source": f"{root}/data/text.jsonl"}], "maxLength": 64})
        .setting("spec.recipe.duration", {"steps": steps})
        .setting("spec.recipe.batch", {"size": 8, "microSize": 1})
        .setting("spec.recipe.logEverySteps", 1)
        .setting("spec.storage.uri", f"{root}/runs")
        .setting("spec.checkpoint.everySteps", 5)
        .setting("spec.checkpoint.resumePolicy", "Never")  # other tests have left their jobs in the same bucket
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricJob:
    """A job that runs, and the ways to look at it and to injure it."""

    plane: LocalPlane
    key: JobKey
    uid: str
    bucket: Path

    @property
    def folder(self) -> Path:
        """The job's own folder in the storage."""
        return self.bucket / "runs" / self.key.namespace / self.key.name / self.uid

    async def until(self, is_so: Callable[[TrainingJobStatus], bool]) -> TrainingJobStatus:
        """Wait until the status is so; a job that ends before it is fails the test, with its logs."""
        async with asyncio.timeout(PATIENCE_S):
            status = await self.plane.wait(self.key, lambda status: is_so(status) or bool(status.endings))
        assert is_so(status), f"{status.endings[0].message}\n{self.logs()}"
        return status

    async def at_step(self, step: int, *, world: int = 1) -> TrainingJobStatus:
        """Wait until this world, or a later one, has made the step."""
        return await self.until(
            lambda status: (
                status.world is not None
                and status.world.number >= world
                and status.phase == "Running"
                and status.progress is not None
                and status.progress.step >= step
            )
        )

    async def world_of(self, size: int) -> tuple[int, int]:
        """Wait until a world of this size makes steps; return its number and its step."""
        status = await self.until(
            lambda status: status.world is not None and status.world.size == size and is_training(status)
        )
        assert status.world is not None
        assert status.progress is not None
        return status.world.number, status.progress.step

    async def complete(self) -> TrainingJobStatus:
        """Wait for the model."""
        return await self.until(lambda status: bool(status.endings) and status.phase == "Complete")

    async def change(self, builder: JobBuilder) -> None:
        """Apply another spec."""
        await self.plane.cluster.change_spec(self.key, builder.spec)

    def agent(self, worker: int) -> int:
        """Process id of the worker's agent."""
        [pod] = [pod for pod in self.plane.cluster.pods(self.uid) if pod.worker == worker and pod.is_live]
        pid = self.plane.cluster.process(self.uid, pod.uid).pid
        assert pid is not None
        return pid

    def rank(self, worker: int) -> int:
        """Process id of the worker's rank: the oldest child of its fork server, for spares are made afterwards."""
        [fork_server] = _children(self.agent(worker))
        return min(_children(fork_server), key=_start_time)

    def kill_rank(self, worker: int) -> None:
        """kill -9 of a training process."""
        os.kill(self.rank(worker), signal.SIGKILL)

    def kill_worker(self, worker: int) -> None:
        """kill -9 of a worker's process 1, with all that it has started."""
        os.kill(self.agent(worker), signal.SIGKILL)

    def lose_worker(self, worker: int) -> None:
        """kill -9 of a worker's process 1, and what it held in memory is gone, as with its node."""
        agent = self.agent(worker)
        shm = next(line for line in Path(f"/proc/{agent}/environ").read_text().split("\0") if line.startswith(_SHM))
        os.kill(agent, signal.SIGKILL)
        shutil.rmtree(shm.removeprefix(_SHM))

    def audited(self) -> Audit:
        """What became of the planned rows, from the storage alone."""
        return audit(Store.at(f"file://{self.folder}"))

    def logs(self) -> str:
        """The logs of all workers."""
        return "\n".join(f"== {path}\n{path.read_text()[-6000:]}" for path in self.plane.cluster.log_paths(self.key))


def is_training(status: TrainingJobStatus) -> bool:
    """Whether a world makes steps."""
    return any(
        condition.type == ConditionType.RUNNING and condition.status == "True" for condition in status.conditions
    )


@asynccontextmanager
async def running(builder: JobBuilder, bucket: Path, home: Path) -> AsyncIterator[FabricJob]:
    """Run the job until the context ends. Its worlds grow as soon as they can."""
    async with local_plane(home, limits=replace(LOCAL_LIMITS, growth_every=timedelta(seconds=1))) as plane:
        manifest: Manifest = builder.manifest
        key = await plane.submit(manifest)
        job = await plane.cluster.read_job(key)
        assert job is not None
        yield FabricJob(plane=plane, key=key, uid=job.uid, bucket=bucket)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def _start_time(pid: int) -> int:
    """Clock ticks from the machine's start to the process'."""
    after_name: list[Any] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19])
