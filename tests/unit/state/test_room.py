"""Snapshots are taken only where a worker has room for them, and the agent is told the numbers where it has none."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from everstep_api.wire.ranks import TierTold
from everstep_trainer.parallel.shard import Chunk
from everstep_trainer.parallel.world import World
from everstep_trainer.state import room, tier
from everstep_trainer.state.restore import State
from everstep_trainer.state.tier import Tier, open_tier

MIB = 1024 * 1024


def a_state(mib: int) -> State:
    rows = mib * MIB // 4
    return [(Chunk(name="weight", shape=(rows,), dtype="F32", start=0, rows=rows), torch.zeros(rows))]


def opened(folder: Path, *, mib: int, told: list[Any], every: Any = "auto", lora: Any = None) -> Tier:
    """The tier of the only rank of a world."""
    snapshots = SimpleNamespace(copies=1, every_steps=every)
    context: Any = SimpleNamespace(
        world=World.alone(),
        spec=SimpleNamespace(checkpoint=SimpleNamespace(snapshots=snapshots)),
        recipe=SimpleNamespace(model=SimpleNamespace(lora=lora)),
    )
    line: Any = SimpleNamespace(tell=told.append, held=lambda *_, **__: None)
    return open_tier(context, a_state(mib), stem=str(folder / "me.0"), resumed=None, line=line)


@pytest.mark.parametrize(("left_mib", "is_on"), [(12, True), (11, False)])
def test_a_worker_without_room_keeps_no_snapshots_and_says_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, left_mib: int, is_on: bool
) -> None:
    """Two files, and as much as the state once for what a step needs."""
    monkeypatch.setattr(tier, "room_bytes", lambda _: left_mib * MIB)
    told: list[TierTold] = []

    assert opened(tmp_path / "shm", mib=4, told=told).is_on is is_on
    if is_on:
        assert told == []
    else:
        (message,) = [word.tier.message for word in told]
        assert message is not None
        assert message.startswith("Snapshots need 8 MiB of this worker's memory")
        assert "7 MiB are left" in message
        assert list((tmp_path / "shm").iterdir()) == [], "nothing is taken of the little that there is"


def test_a_volume_that_is_full_is_said_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    told: list[TierTold] = []

    assert not opened(tmp_path / "shm", mib=1, told=told).is_on
    assert "No space left on device" in (told[0].tier.message or "")


@pytest.mark.parametrize(
    ("every", "lora", "wanted"),
    [
        pytest.param("auto", None, "auto", id="by its cost"),
        pytest.param("auto", object(), 1, id="adapters at each step"),
        pytest.param(7, object(), 7, id="as it is written"),
    ],
)
def test_how_often_follows_from_what_is_trained(tmp_path: Path, *, every: Any, lora: Any, wanted: Any) -> None:
    assert opened(tmp_path / "shm", mib=1, told=[], every=every, lora=lora).every == wanted


def test_the_least_of_volume_machine_and_groups_is_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = tmp_path / "groups" / "pod"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("900000\n")
    (group / "memory.stat").write_text("anon 5\ninactive_file 300000\n")
    monkeypatch.setattr(room, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(room, "_GROUPS_OF_THIS_PROCESS", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text("1:cpu:/old\n0::/pod\n")
    folder = tmp_path / "shm"
    folder.mkdir()

    assert room.room_bytes(folder) == 400_000
    (folder / "a file of a snapshot").write_bytes(bytes(8192))
    assert room.room_bytes(folder) == 408_192, "what is taken may be taken again"
    (group / "memory.max").write_text("max\n")
    assert room.room_bytes(folder) > 408_192
