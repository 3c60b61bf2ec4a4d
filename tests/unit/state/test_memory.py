"""A snapshot comes back bit by bit, in a world of any size and from whoever holds it, or another state is taken."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from aiohttp import web

from everstep_agent.snapshot_server import SnapshotServer
from everstep_agent.snapshots import FOLDER, Admission, Shelf
from everstep_api.wire.ranks import SnapshotTaken
from everstep_api.wire.snapshots import HeldPart, Inventory, read_head, write_head
from everstep_api.wire.sync import Run, StatePoint
from everstep_trainer.data.ledger import Line, to_text
from everstep_trainer.errors import DamagedError
from everstep_trainer.parallel.world import World
from everstep_trainer.state.fence import WorldRecord
from everstep_trainer.state.memory import Holdings, Kept, Snapshot, whole_snapshots
from everstep_trainer.state.restore import restore, restore_newest
from everstep_trainer.state.snapshot import Owner, Snapshots
from tests.unit.parallel.worlds import run_world
from tests.unit.state.stores import a_spread_llama, counters_at, train
from tests.unit.state.test_restore import Whole, flip_byte, same, whole

LINE = Line(step=2, world=1, rows=(0, 8), targets=1, digest=0)
TIMEOUT_S = 30.0
SECRET = "secret"  # noqa: S105 - of no world


def a_folder(memory: Path, rank: int) -> Path:
    """Where the agent of a rank's worker would hold snapshots."""
    return memory / f"pod-{rank}" / FOLDER


def taken(world: World, memory: Path, steps: int) -> Whole:
    """Train from nothing with a snapshot of each step, each held at once, and tell the last state."""
    model, optimizer = a_spread_llama(world)
    told: list[SnapshotTaken] = []
    owner = Owner(
        stem=str(a_folder(memory, world.rank) / f"pod-{world.rank}.0"),
        world=world.place.world,
        shard=world.rank,
        shards=world.size,
        copies=0,
    )
    snapshots = Snapshots(optimizer.state(), owner, resumed=None, tell=told.append)
    for step in range(1, steps + 1):
        train(model, optimizer, world, range(step, step + 1))
        snapshots.take(step, Kept(counters=counters_at(step), ledger=to_text([LINE]).decode()))
        snapshots.finish()
        snapshots.keep_last()
    assert [message.point.step for message in told] == list(range(1, steps + 1))
    return whole(world, optimizer)


def held_in(memory: Path) -> list[Inventory]:
    return [
        Inventory(address=f"127.0.0.1:{9}", parts=Shelf(folder).parts())
        for folder in sorted(memory.iterdir())
        if folder.is_dir()
    ]


def gathered(memory: Path) -> Path:
    """One folder with what all workers hold, as if one had copies of all."""
    together = memory / "all" / FOLDER
    together.mkdir(parents=True)
    for folder in sorted(memory.glob("pod-*")):
        for path in (folder / FOLDER).iterdir():
            (together / path.name).write_bytes(path.read_bytes())
    return together


def recalled(world: World, folder: Path, found: list[Inventory]) -> tuple[int, Whole, tuple[Line, ...]]:
    """The newest snapshot, restored into other weights."""
    _, optimizer = a_spread_llama(world, seed=1)
    sources = [Snapshot(holdings=one, folder=folder, secret=SECRET) for one in whole_snapshots(found, {})]
    restored = restore_newest(sources, list(optimizer.state()), world)
    assert restored is not None
    return restored.counters.step, whole(world, optimizer), restored.ledger


@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 3), (3, 2)])
def test_a_snapshot_is_the_same_in_a_world_of_any_size(tmp_path: Path, before: int, after: int) -> None:
    expected = run_world(before, taken, tmp_path, 2)[0]
    found = held_in(tmp_path)
    folder = gathered(tmp_path)

    for step, state, ledger in run_world(after, recalled, folder, found, number=2):
        assert step == 2
        assert same(state, expected)
        assert ledger == (LINE,)


def test_both_of_the_last_two_snapshots_are_there_and_no_more_files(tmp_path: Path) -> None:
    run_world(1, taken, tmp_path, 5)

    steps = sorted(one.point.step for one in whole_snapshots(held_in(tmp_path), {}))
    assert steps == [4, 5]
    assert len(list(a_folder(tmp_path, 0).iterdir())) == 4


@pytest.mark.parametrize(
    ("name", "where"),
    [
        pytest.param("pod-1.0.B.safetensors", -1, id="the last byte of a tensor"),
        pytest.param("pod-0.0.B.safetensors", 40, id="a byte of the file's header"),
        pytest.param("pod-0.0.B.head", 60, id="a byte of the head"),
    ],
)
def test_one_flipped_byte_is_found_and_all_take_the_snapshot_before(tmp_path: Path, name: str, where: int) -> None:
    run_world(2, taken, tmp_path, 2)
    found = held_in(tmp_path)
    folder = gathered(tmp_path)
    flip_byte(folder / name, where)

    assert [step for step, *_ in run_world(2, recalled, folder, found, number=2)] == [1, 1]


def test_a_whole_file_under_another_head_is_damage(tmp_path: Path) -> None:
    """Its own checksums are right; whoever asks knows which state it wants."""
    run_world(1, taken, tmp_path, 2)
    found = held_in(tmp_path)
    folder = gathered(tmp_path)
    for ending in (".head", ".safetensors"):
        (folder / f"pod-0.0.B{ending}").write_bytes((folder / f"pod-0.0.A{ending}").read_bytes())

    assert run_world(1, recalled, folder, found, number=2)[0][0] == 1


def test_a_head_tells_when_it_is_not_what_was_written(tmp_path: Path) -> None:
    run_world(1, taken, tmp_path, 1)
    text = (a_folder(tmp_path, 0) / "pod-0.0.A.head").read_bytes()

    head = read_head(text)
    assert write_head(head) == text
    content = (a_folder(tmp_path, 0) / "pod-0.0.A.safetensors").read_bytes()
    assert head.header_crc32 == crc32(content[: head.header_bytes])
    assert head.size_bytes == len(content)


@contextmanager
def an_agent_that_serves(folder: Path) -> Iterator[str]:
    """The snapshots part of an agent's port, on a thread; yields its address."""
    opened: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]] = []
    is_open = threading.Event()

    async def serve() -> None:
        admission = Admission()
        admission.hear(Run(world=2, members=(), ranks_per_worker=1, secret=SECRET))
        app = web.Application()
        app.add_routes(SnapshotServer(shelf=Shelf(folder), admission=admission, address=lambda: "me:1").routes())
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        end = asyncio.Event()
        opened.append((asyncio.get_running_loop(), end, f"127.0.0.1:{runner.addresses[0][1]}"))
        is_open.set()
        await end.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert is_open.wait(TIMEOUT_S)
    loop, end, address = opened[0]
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(TIMEOUT_S)


def test_parts_that_another_worker_holds_are_read_from_its_agent(tmp_path: Path) -> None:
    expected = run_world(2, taken, tmp_path, 2)[0]
    shelf = tmp_path / "all"
    gathered(tmp_path)
    with an_agent_that_serves(shelf) as address:
        found = [Inventory(address=address, parts=Shelf(shelf).parts())]
        results = run_world(2, recalled, tmp_path / "nothing here", found, number=2)

    for step, state, _ in results:
        assert step == 2
        assert same(state, expected)


def test_a_holder_that_is_gone_is_damage_and_not_a_crash(tmp_path: Path) -> None:
    run_world(1, taken, tmp_path, 1)
    (holdings,) = whole_snapshots(held_in(tmp_path), {})

    with pytest.raises(DamagedError, match="Part 0 is to be had nowhere"):
        restore(Snapshot(holdings=holdings, folder=tmp_path / "elsewhere", secret=SECRET), [])


def an_inventory(address: str, *parts: tuple[int, int, int, int]) -> Inventory:
    """Parts as (world, step, shard, shards)."""
    return Inventory(
        address=address,
        parts=tuple(
            HeldPart(name=f"pod-{shard}.0.A", point=StatePoint(world=world, step=step), shard=shard, shards=shards)
            for world, step, shard, shards in parts
        ),
    )


@pytest.mark.parametrize(
    ("found", "worlds", "wanted"),
    [
        pytest.param([an_inventory("a", (1, 5, 0, 2))], {}, [], id="a part is held by nobody"),
        pytest.param(
            [an_inventory("a", (1, 5, 0, 2)), an_inventory("b", (1, 5, 1, 2))], {}, [(1, 5)], id="each has its own"
        ),
        pytest.param([an_inventory("a", (1, 5, 0, 2), (1, 5, 1, 2))], {}, [(1, 5)], id="one has a copy of the other"),
        pytest.param(
            [an_inventory("a", (1, 9, 0, 1), (2, 6, 0, 1))], {2: 5}, [(2, 6)], id="what a later world has gone beyond"
        ),
        pytest.param([an_inventory("a", (1, 5, 0, 1), (1, 4, 0, 1))], {2: 5}, [(1, 5), (1, 4)], id="newest first"),
        pytest.param([an_inventory("a", (1, 9, 0, 1), (2, 6, 0, 1))], {2: 9}, [(2, 6), (1, 9)], id="world before step"),
    ],
)
def test_what_may_be_gone_on_from_is_whole_and_valid(
    found: list[Inventory], worlds: dict[int, int], wanted: list[tuple[int, int]]
) -> None:
    records = {number: WorldRecord(world=number, step=step, author="x") for number, step in worlds.items()}

    chosen: list[Holdings] = whole_snapshots(found, records)

    assert [(one.point.world, one.point.step) for one in chosen] == wanted


def resumed_then_taken(world: World, folder: Path) -> list[tuple[str, int]]:
    """Take two more snapshots after a resume at step 2; tell which of the worlds' steps are there after each."""
    _, optimizer = a_spread_llama(world, seed=1)
    owner = Owner(stem=str(folder / "pod-0.0"), world=2, shard=0, shards=1, copies=0)
    point = StatePoint(world=1, step=2)
    snapshots = Snapshots(optimizer.state(), owner, resumed=point, tell=lambda _: None)
    seen: list[Any] = []
    for step in (3, 4):
        snapshots.take(step, Kept(counters=counters_at(step)))
        snapshots.finish()
        seen.append(sorted((part.point.world, part.point.step) for part in Shelf(folder.parent).parts()))
        snapshots.keep_last()
    return seen


def test_the_resumed_snapshot_stays_until_the_first_of_the_new_world_is_held(tmp_path: Path) -> None:
    run_world(1, taken, tmp_path, 2)

    assert run_world(1, resumed_then_taken, a_folder(tmp_path, 0), number=2)[0] == [[(1, 2), (2, 3)], [(2, 3), (2, 4)]]
