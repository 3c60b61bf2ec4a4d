"""A storage that is away costs a checkpoint and nothing else."""

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from everstep_api.wire.sync import StatePoint
from everstep_trainer.data.ledger import Line, read_ledger
from everstep_trainer.errors import StorageError
from everstep_trainer.objects import Store
from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.world import World
from everstep_trainer.state.restore import valid_points
from everstep_trainer.state.save import Saver
from tests.unit.parallel.toys import ROWS, a_llama
from tests.unit.state.stores import a_saver, counters_at

TIMEOUT_S = 30.0


@pytest.fixture
def run(tmp_path: Path) -> Store:
    return Store.at(str(tmp_path / "store"))


@pytest.fixture
def saver(run: Store, tmp_path: Path) -> Saver:
    return a_saver(World.alone(), run, tmp_path / "cache")


@pytest.fixture
def optimizer() -> ShardedAdamW:
    return ShardedAdamW(a_llama(), betas=(0.9, 0.95), weight_decay=0.1)


def a_line(step: int) -> Line:
    return Line(step=step, world=0, rows=((step - 1) * ROWS, step * ROWS), targets=1, digest=0)


def test_a_state_that_did_not_arrive_is_a_warning_and_its_ledger_comes_with_the_next(
    run: Store, saver: Saver, optimizer: ShardedAdamW, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bool:
        raise StorageError("The bucket is away.")

    saver.note(a_line(1))
    with monkeypatch.context() as away:
        away.setattr(Store, "put_if_absent", fail)
        saver.save(optimizer.state(), counters_at(1))
        assert not saver.wait()

    saver.note(a_line(2))
    saver.save(optimizer.state(), counters_at(2))

    assert saver.wait()
    assert valid_points(run, {}) == [StatePoint(world=0, step=2)]
    assert [line.step for line in read_ledger(run)] == [1, 2]


def test_a_full_disk_is_a_warning(run: Store, saver: Saver, optimizer: ShardedAdamW, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder can be made here")

    saver.save(optimizer.state(), counters_at(1))

    assert not saver.wait()
    assert valid_points(run, {}) == []


def test_the_loop_does_not_wait_for_the_storage(
    run: Store, saver: Saver, optimizer: ShardedAdamW, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_back = Event()
    put = Store.put

    def wait(store: Store, name: str, content: Path) -> None:
        assert is_back.wait(TIMEOUT_S)
        put(store, name, content)

    monkeypatch.setattr(Store, "put", wait)
    saver.save(optimizer.state(), counters_at(1))
    assert saver.is_busy
    saver.check()
    assert valid_points(run, {}) == []

    is_back.set()

    assert saver.wait()
    assert not saver.is_busy
    assert valid_points(run, {}) == [StatePoint(world=0, step=1)]


def test_lines_of_steps_that_are_taken_while_an_upload_is_on_its_way_come_with_the_next(
    run: Store, saver: Saver, optimizer: ShardedAdamW, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_noted = Event()
    create = Store.put_if_absent

    def wait(store: Store, name: str, content: bytes) -> bool:
        assert is_noted.wait(TIMEOUT_S)
        return create(store, name, content)

    monkeypatch.setattr(Store, "put_if_absent", wait)
    saver.note(a_line(1))
    saver.save(optimizer.state(), counters_at(1))
    saver.note(a_line(2))
    is_noted.set()
    assert saver.wait()
    saver.save(optimizer.state(), counters_at(2))

    assert saver.wait()
    assert [line.step for line in read_ledger(run)] == [1, 2]


def test_what_killed_ranks_left_in_the_cache_is_removed(run: Store, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "-1-4-0.safetensors"
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "0-4-0.safetensors").write_bytes(b"of this world")
    left.write_bytes(b"of no world")

    a_saver(World.alone(), run, cache)
    assert len(list(cache.iterdir())) == 2

    a_saver(World(replace(World.alone().place, world=1), None, None), run, cache)

    assert [path.name for path in cache.iterdir()] == [left.name]
