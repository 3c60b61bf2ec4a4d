"""Worlds of warm spares, entered and watched by a test."""

import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from everstep_api.wire.ranks import Done, JoinStore, Saved, Stepped, StoreOpened
from everstep_trainer.objects import Store
from tests.unit.rank.agents import JOB, Agent, Conversation, a_warm_rank, an_enter


@dataclass(slots=True, kw_only=True)
class RunningWorld:
    """The ranks of a world."""

    agent: Agent
    opened: StoreOpened
    pids: list[int] = field(default_factory=list)
    ranks: list[Conversation] = field(default_factory=list)

    def steps(self) -> dict[int, float | None]:
        """Losses that rank 0 has told, by step."""
        return {message.step: message.loss for message in self.ranks[0].heard if isinstance(message, Stepped)}

    def kill(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            self.agent.exit_of(pid)

    def finish(self) -> str | None:
        """Wait until all ranks have finished the job; return where the model is."""
        outputs = {rank.hear_until(Done).output for rank in self.ranks}
        assert [self.agent.exit_of(pid).exit_code for pid in self.pids] == [0] * len(self.pids)
        (output,) = outputs
        return output


def a_world(agent: Agent, spec: dict[str, Any], *, number: int, size: int, uid: str = JOB.uid) -> RunningWorld:
    """Put warm spares into a world."""
    spares = [a_warm_rank(agent, slot) for slot in range(size)]
    for rank, (_, line) in enumerate(spares):
        line.tell(replace(an_enter(spec, world=number, rank=rank, size=size), job=replace(JOB, uid=uid)))
    opened = spares[0][1].hear_until(StoreOpened)
    for _, line in spares[1:]:
        line.tell(JoinStore(host="127.0.0.1", port=opened.port, resume=opened.resume))
    return RunningWorld(agent=agent, opened=opened, pids=[pid for pid, _ in spares], ranks=[line for _, line in spares])


def run_of(folder: Path, uid: str = JOB.uid) -> Store:
    """The job's own folder in the storage."""
    return Store.at(str(folder / "store" / JOB.namespace / JOB.name / uid))


def until_saved(world: RunningWorld, step: int) -> None:
    """Wait until the state of the step is committed, by whichever rank; all ranks have then gone on."""
    for rank in world.ranks:
        while (message := rank.hear()) is not None:
            if isinstance(message, Saved) and message.point.step >= step:
                return
            if isinstance(message, Stepped) and message.step >= step + 4:
                break
    raise AssertionError(f"Step {step} was not saved.")
