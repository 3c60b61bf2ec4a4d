"""A world goes on from what its workers' memory holds, with the same numbers, or from before it where it is damaged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from everstep_agent.snapshots import FOLDER, Shelf
from everstep_api.wire.ranks import (
    Held,
    Inventories,
    Left,
    SnapshotTaken,
    Stepped,
    StopAfterStep,
    StoreOpened,
    TierTold,
)
from everstep_api.wire.snapshots import Inventory
from everstep_api.wire.sync import MemoryTier, Resumed
from everstep_trainer.data.audit import audit
from tests.unit.rank.agents import Agent, Conversation, a_warm_rank, an_enter
from tests.unit.rank.jobs import a_spec
from tests.unit.rank.running import RunningWorld, a_world, run_of

IN_MEMORY: dict[str, Any] = {
    "checkpoint": {"everySteps": 1_000_000, "snapshots": {"everySteps": 1}},
    "recipe": {"evaluation": {"everySteps": 1_000_000}},
}
"""A snapshot of each step, and nothing in the storage before the end: evaluations, too, save the best state."""


def a_lonely_world(agent: Agent, spec: dict[str, Any], shm: Path, *, number: int) -> RunningWorld:
    """A world of one rank, whose agent keeps snapshots in a folder."""
    pid, line = a_warm_rank(agent)
    shelf = Shelf(shm)
    line.tell(replace(an_enter(spec, world=number), snapshots=shelf.stem("pod", 0)))
    line.tell(Inventories(found=(Inventory(address="127.0.0.1:9", parts=shelf.parts()),)))
    opened = line.hear_until(StoreOpened)
    return RunningWorld(agent=agent, opened=opened, pids=[pid], ranks=[line])


def held_until(rank: Conversation, step: int) -> None:
    """Say of each snapshot that it is held, up to that of the step."""
    while True:
        taken = rank.hear_until(SnapshotTaken)
        rank.tell(Held(step=taken.point.step))
        if taken.point.step >= step:
            return


def test_a_killed_rank_goes_on_with_the_next_step_and_the_same_bits(agent: Agent, tmp_path: Path) -> None:
    undisturbed = a_world(
        agent, a_spec(tmp_path / "undisturbed", replicas=1, recipe=IN_MEMORY["recipe"]), number=1, size=1
    )
    undisturbed.finish()
    expected = undisturbed.steps()

    spec = a_spec(tmp_path, replicas=1, **IN_MEMORY)
    first = a_lonely_world(agent, spec, tmp_path / "shm", number=1)
    held_until(first.ranks[0], 3)
    first.kill()
    newest = max(part.point.step for part in Shelf(tmp_path / "shm").parts())
    second = a_lonely_world(agent, spec, tmp_path / "shm", number=2)
    second.finish()

    assert second.opened.resume == Resumed(world=1, step=newest, tier="Memory")
    assert second.steps() == {step: expected[step] for step in range(newest + 1, 13)}
    assert TierTold(tier=MemoryTier(every_steps=1)) in second.ranks[0].heard
    found = audit(run_of(tmp_path))
    assert found.is_complete, found.sentences()
    assert found.void == 0, "no step was taken twice"


def test_a_pause_that_memory_outlives_does_not_wait_for_the_storage(agent: Agent, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, steps=200, replicas=1, **IN_MEMORY)
    first = a_lonely_world(agent, spec, tmp_path / "shm", number=1)
    held_until(first.ranks[0], 2)
    first.ranks[0].tell(StopAfterStep(durable=False))
    while (message := first.ranks[0].hear()) is not None and not isinstance(message, Left):
        if isinstance(message, SnapshotTaken):
            first.ranks[0].tell(Held(step=message.point.step))
    assert isinstance(message, Left)
    assert agent.exit_of(first.pids[0]).exit_code == 0
    second = a_lonely_world(agent, spec, tmp_path / "shm", number=2)
    stepped = second.ranks[0].hear_until(Stepped)
    second.kill()

    assert second.opened.resume == Resumed(world=1, step=message.step, tier="Memory")
    assert stepped.step == message.step + 1
    assert list(run_of(tmp_path).folders("ckpt")) == []


def test_a_job_whose_only_snapshots_are_damaged_begins_anew_loudly(agent: Agent, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, replicas=1, **IN_MEMORY)
    first = a_lonely_world(agent, spec, tmp_path / "shm", number=1)
    held_until(first.ranks[0], 2)
    first.kill()
    expected = first.steps()
    for path in (tmp_path / "shm" / FOLDER).glob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

    second = a_lonely_world(agent, spec, tmp_path / "shm", number=2)
    corrected = second.ranks[0].hear_until(StoreOpened)
    second.finish()

    assert second.opened.resume is not None
    assert corrected.resume is None
    assert {step: loss for step, loss in second.steps().items() if step in expected} == expected
    assert "No snapshot in memory is whole" in agent.output()
    found = audit(run_of(tmp_path))
    assert found.is_complete, found.sentences()
