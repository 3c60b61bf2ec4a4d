"""A world that has a successor does no harm."""

from pathlib import Path

import pytest

from everstep_api.wire.sync import Resumed, StatePoint
from everstep_trainer.errors import DamagedError, FencedError
from everstep_trainer.objects import Store
from everstep_trainer.parallel.world import World
from everstep_trainer.state.fence import Fence, WorldRecord, is_valid
from everstep_trainer.state.restore import valid_points
from tests.unit.parallel.worlds import run_world
from tests.unit.state.stores import a_saver, a_spread_llama, counters_at


def record(world: int, step: int) -> WorldRecord:
    return WorldRecord(world=world, parent=world - 1 or None, step=step, author="a")


@pytest.mark.parametrize(
    ("world", "step", "worlds", "expected"),
    [
        pytest.param(1, 10, {}, True, id="no world is known"),
        pytest.param(1, 10, {1: 0}, True, id="the newest world's own state"),
        pytest.param(1, 10, {1: 0, 2: 10}, True, id="the state that the next world took up"),
        pytest.param(1, 11, {1: 0, 2: 10}, False, id="one step beyond it"),
        pytest.param(1, 9, {1: 0, 2: 10}, True, id="one step before it"),
        pytest.param(1, 10, {1: 0, 2: 10, 3: 5}, False, id="a later world went back behind it"),
        pytest.param(2, 30, {1: 0, 2: 10, 3: 30}, True, id="what the last but one left"),
        pytest.param(1, 1, {2: 0}, False, id="the next world began from nothing"),
    ],
)
def test_a_state_is_valid_when_every_later_world_began_at_it_or_later(
    world: int, step: int, worlds: dict[int, int], *, expected: bool
) -> None:
    records = {number: record(number, begin) for number, begin in worlds.items()}

    assert is_valid(StatePoint(world=world, step=step), records) is expected


def test_a_world_writes_down_where_it_began(tmp_path: Path) -> None:
    run = Store.at(str(tmp_path))
    Fence(run, 1).create(None)
    Fence(run, 2).create(Resumed(world=1, step=7, tier="Durable"))

    records = Fence(run, 2).records()

    assert {number: (one.parent, one.step) for number, one in records.items()} == {1: (None, 0), 2: (1, 7)}


def test_a_number_that_is_taken_is_refused_with_the_greatest(tmp_path: Path) -> None:
    run = Store.at(str(tmp_path))
    Fence(run, 4).create(None)

    for number in (3, 4):
        with pytest.raises(FencedError) as refused:
            Fence(run, number).check_number()
        assert refused.value.world_seen == 4
        with pytest.raises(FencedError):
            Fence(run, number).create(None)
    Fence(run, 5).check_number()


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "1.json").write_text("{}")

    with pytest.raises(DamagedError, match=r"worlds/1\.json"):
        Fence(Store.at(str(tmp_path)), 1).records()


def an_old_world_that_saves(world: World, store: str, cache: Path) -> str:
    """World 1 begins, its successor begins at step 3, and world 1 wants to commit step 5."""
    run = Store.at(store)
    _, optimizer = a_spread_llama(world)
    Fence(run, 1).create(None)
    saver = a_saver(world, run, cache)
    saver.save(optimizer.state(), counters_at(3))
    assert saver.wait()
    Fence(run, 2).create(Resumed(world=1, step=3, tier="Durable"))
    saver.save(optimizer.state(), counters_at(5))
    try:
        saver.wait()
    except FencedError as error:
        return str(error)
    return "committed"


def test_an_old_world_cannot_commit_beyond_its_successor(tmp_path: Path) -> None:
    words = run_world(1, an_old_world_that_saves, str(tmp_path), tmp_path / "cache")

    run = Store.at(str(tmp_path))
    assert words == ["World 1 may not commit: world 2 has begun in the storage."]
    assert run.head("ckpt/1-5/manifest.json") is None
    assert valid_points(run, Fence(run, 3).records()) == [StatePoint(world=1, step=3)]


def test_what_an_old_world_committed_beyond_its_successor_is_void(tmp_path: Path) -> None:
    """The commit may have slipped in between its look at the fence and the successor's record."""
    run = Store.at(str(tmp_path))
    for point in ("1-3", "1-5"):
        run.put_if_absent(f"ckpt/{point}/manifest.json", b"{}")
    Fence(run, 2).create(Resumed(world=1, step=3, tier="Durable"))

    assert valid_points(run, Fence(run, 3).records()) == [StatePoint(world=1, step=3)]
