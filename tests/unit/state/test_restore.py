"""A state that was saved comes back bit by bit, in a world of any size, or is refused."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from everstep_api.wire.ranks import Saved
from everstep_api.wire.sync import StatePoint
from everstep_trainer.errors import DamagedError
from everstep_trainer.objects import Store
from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.world import Sharding, World
from everstep_trainer.state.checkpoint import checkpoints
from everstep_trainer.state.manifest import read_manifest
from everstep_trainer.state.restore import restore_newest, valid_points
from tests.unit.parallel.worlds import run_world
from tests.unit.state.stores import a_saver, a_spread_llama, counters_at, train

Whole = dict[str, Any]


def whole(world: World, optimizer: ShardedAdamW) -> Whole:
    """Every tensor of the state, put together from all ranks."""
    mesh = world.mesh
    gathered = {}
    for chunk, part in optimizer.state():
        rows = torch.zeros(chunk.shape, dtype=part.dtype)
        if world.is_first_replica:
            rows[chunk.start : chunk.start + chunk.rows] = part
        gathered[chunk.name] = world.all_reduce(rows).numpy()
    assert mesh.size() == world.size
    return gathered


def trained(world: World, store: str, cache: Path, steps: int) -> tuple[Whole, list[Saved]]:
    """Train from nothing, save after each step, and tell the last state."""
    model, optimizer = a_spread_llama(world)
    commits: list[Saved] = []
    saver = a_saver(world, Store.at(store), cache / f"{world.rank}", committed=commits.append)
    for step in range(1, steps + 1):
        train(model, optimizer, world, range(step, step + 1))
        saver.save(optimizer.state(), counters_at(step))
    assert saver.wait()
    return whole(world, optimizer), commits


def handed_on(world: World, store: str, cache: Path, number: int) -> Whole:
    """Restore the newest state into other weights, save it as one of this world, and tell it."""
    run = Store.at(store)
    _, optimizer = a_spread_llama(world, seed=1)
    restored = restore_newest(checkpoints(run, valid_points(run, {})), list(optimizer.state()), world)
    assert restored is not None
    optimizer.updates = restored.counters.updates
    saver = a_saver(world, run, cache / f"{number}-{world.rank}")
    saver.save(optimizer.state(), restored.counters)
    assert saver.wait()
    return whole(world, optimizer)


def same(one: Whole, other: Whole) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("sizes", "sharding", "per_worker"),
    [
        pytest.param((2, 1, 2), "full", 1, id="two, one, two ranks"),
        pytest.param((3, 2, 4), "full", 1, id="three, two, four ranks"),
        pytest.param((4, 2), "hybrid", 2, id="four ranks of two replicas, then two of one"),
    ],
)
def test_a_state_is_the_same_in_a_world_of_any_size(
    tmp_path: Path, sizes: tuple[int, ...], sharding: Sharding, per_worker: int
) -> None:
    store, cache = str(tmp_path / "store"), tmp_path / "cache"
    options: dict[str, Any] = {"sharding": sharding, "per_worker": per_worker}
    results = run_world(sizes[0], trained, store, cache, 2, **options)
    expected = results[0][0]

    assert any(np.any(tensor) for name, tensor in expected.items() if name.startswith("exp_avg_sq."))
    for number, size in enumerate(sizes[1:], start=2):
        for found in run_world(size, handed_on, store, cache, number, number=number, **options):
            assert same(found, expected)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_somebody_commits_each_state_and_tells_where_it_is(tmp_path: Path) -> None:
    results = run_world(2, trained, str(tmp_path / "store"), tmp_path / "cache", 2)

    commits = [saved for _, commits in results for saved in commits]
    assert {saved.point for saved in commits} == {StatePoint(world=1, step=1), StatePoint(world=1, step=2)}
    for saved in commits:
        assert saved.uri == f"{tmp_path}/store/ckpt/1-{saved.point.step}"
        assert saved.size_bytes > 0


def resumed(world: World, store: str, cache: Path, how: str) -> tuple[list[float], Whole]:
    """Six steps, undisturbed or from the checkpoint of step 3."""
    torch.use_deterministic_algorithms(mode=True)
    run = Store.at(store)
    model, optimizer = a_spread_llama(world, seed=0 if how == "undisturbed" else 1)
    losses = []
    if how == "undisturbed":
        losses = train(model, optimizer, world, range(1, 4))
        saver = a_saver(world, run, cache / f"{world.rank}")
        saver.save(optimizer.state(), counters_at(3))
        assert saver.wait()
    else:
        restored = restore_newest(checkpoints(run, valid_points(run, {})), list(optimizer.state()), world)
        assert restored is not None
        optimizer.updates = restored.counters.updates
    losses += train(model, optimizer, world, range(4, 7))
    return losses, whole(world, optimizer)


def test_the_same_world_resumes_bitwise(tmp_path: Path) -> None:
    store, cache = str(tmp_path / "store"), tmp_path / "cache"
    undisturbed = run_world(2, resumed, store, cache, "undisturbed")
    again = run_world(2, resumed, store, cache, "resumed", number=2)

    for (losses, state), (new_losses, new_state) in zip(undisturbed, again, strict=True):
        assert losses[3:] == new_losses
        assert same(state, new_state)


def chosen(world: World, store: str) -> tuple[int, Whole, str]:
    """The step of the state that is restored, the state, and what was logged."""
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign] # shortest way to listen
    logging.getLogger("everstep_trainer.state.restore").addHandler(handler)
    run = Store.at(store)
    _, optimizer = a_spread_llama(world, seed=1)
    restored = restore_newest(checkpoints(run, valid_points(run, {})), list(optimizer.state()), world)
    assert restored is not None
    return restored.counters.step, whole(world, optimizer), "\n".join(heard)


def chosen_step(world: World, store: str) -> int | None:
    """The step of the state that is restored, if one is."""
    run = Store.at(store)
    _, optimizer = a_spread_llama(world, seed=1)
    restored = restore_newest(checkpoints(run, valid_points(run, {})), list(optimizer.state()), world)
    return restored.counters.step if restored is not None else None


def flip_byte(path: Path, where: int) -> None:
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        pytest.param("0.safetensors", -1, id="the last byte of a tensor on one rank"),
        pytest.param("1.safetensors", 5000, id="a byte in the middle on the other"),
        pytest.param("0.json", 40, id="a part's description"),
        pytest.param("manifest.json", 3, id="the manifest"),
    ],
)
def test_one_flipped_byte_is_found_and_the_checkpoint_before_is_used_loudly(
    tmp_path: Path, name: str, where: int
) -> None:
    store, cache = str(tmp_path / "store"), tmp_path / "cache"
    run_world(2, trained, store, cache, 2)
    expected, _ = run_world(2, trained, str(tmp_path / "other"), cache, 1)[0]
    flip_byte(tmp_path / "store" / "ckpt" / "1-2" / name, where)

    results = run_world(2, chosen, store, number=2)

    for step, state, _ in results:
        assert step == 1
        assert same(state, expected)
    words = "\n".join(words for *_, words in results)
    assert "The checkpoint of world 1, step 2 is damaged" in words
    assert "all take the state before step 2" in words


def test_a_whole_part_of_another_state_is_damage(tmp_path: Path) -> None:
    """Its own digests are right; the manifest knows better."""
    store, cache = str(tmp_path / "store"), tmp_path / "cache"
    run_world(2, trained, store, cache, 2)
    ckpt = tmp_path / "store" / "ckpt"
    for name in ("1.json", "1.safetensors"):
        (ckpt / "1-2" / name).write_bytes((ckpt / "1-1" / name).read_bytes())

    assert [step for step, *_ in run_world(2, chosen, store, number=2)] == [1, 1]


def test_a_file_that_was_cut_is_damage(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    run_world(1, trained, store, tmp_path / "cache", 1)
    shard_path = tmp_path / "store" / "ckpt" / "1-1" / "0.safetensors"
    shard_path.write_bytes(shard_path.read_bytes()[:-1])

    assert run_world(1, chosen_step, store, number=2) == [None]


def test_a_checkpoint_without_a_manifest_does_not_exist(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    run_world(2, trained, store, tmp_path / "cache", 2)
    (tmp_path / "store" / "ckpt" / "1-2" / "manifest.json").unlink()

    assert valid_points(Store.at(store), {}) == [StatePoint(world=1, step=1)]


def test_each_file_is_what_safetensors_itself_reads(tmp_path: Path) -> None:
    state, _ = run_world(1, trained, str(tmp_path / "store"), tmp_path / "cache", 1)[0]

    read = load_file(tmp_path / "store" / "ckpt" / "1-1" / "0.safetensors")

    assert same({name: tensor.numpy() for name, tensor in read.items()}, state)


def test_a_manifest_of_another_state_is_damage(tmp_path: Path) -> None:
    run_world(1, trained, str(tmp_path / "store"), tmp_path / "cache", 1)
    (tmp_path / "store" / "ckpt" / "1-1").rename(tmp_path / "store" / "ckpt" / "2-9")

    with pytest.raises(DamagedError, match="world 1, step 1; expected are format 1, world 2, step 9"):
        read_manifest(Store.at(str(tmp_path / "store")), StatePoint(world=2, step=9))
