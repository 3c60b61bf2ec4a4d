"""What a worker holds is whole, is served to members alone, and goes when a later world holds its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import aiohttp
import pytest
from aiohttp import web

from everstep_agent import copies, snapshots
from everstep_agent.copies import Copies, buddies, find_inventories
from everstep_agent.snapshot_server import SnapshotServer
from everstep_agent.snapshots import Admission, DamagedCopyError, Shelf, WrongSecretError
from everstep_api.wire.ranks import Held, SnapshotTaken
from everstep_api.wire.snapshots import BLOCK_BYTES, Head, HeldPart, Inventory, write_head
from everstep_api.wire.sync import Member, Run, StatePoint, Wait

POINT = StatePoint(world=2, step=7)
CONTENT = bytes(range(256)) * (BLOCK_BYTES // 256) + b"the last block"


def a_head(content: bytes = CONTENT, point: StatePoint = POINT) -> Head:
    blocks = [content[begin : begin + BLOCK_BYTES] for begin in range(0, len(content), BLOCK_BYTES)]
    return Head(
        point=point,
        shard=0,
        shards=2,
        size_bytes=len(content),
        header_bytes=8,
        header_crc32=crc32(content[:8]),
        blocks_crc32=tuple(crc32(block) for block in blocks),
        state={},
    )


def put(shelf: Shelf, name: str, content: bytes = CONTENT, point: StatePoint = POINT) -> None:
    """Let a rank have written a snapshot."""
    shelf.folder.mkdir(parents=True, exist_ok=True)
    shelf.path(name, ".safetensors").write_bytes(content)
    shelf.path(name, ".head").write_bytes(write_head(a_head(content, point)))


async def in_pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


def a_member(index: int, *, node: str = "n", address: str = "") -> Member:
    return Member(worker=index, pod_uid=f"pod-{index}", address=address or f"10.0.0.{index}:8470", node=node)


def a_run(*members: Member, world: int = 2) -> Run:
    return Run(world=world, members=members, ranks_per_worker=1, secret=f"secret-{world}")


# -- what is held


def test_a_copy_is_held_once_all_of_it_is_there(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    asyncio.run(shelf.receive("pod-1.0.A", write_head(a_head()), in_pieces(CONTENT)))
    assert shelf.parts() == (HeldPart(name="pod-1.0.A", point=POINT, shard=0, shards=2),)
    assert shelf.path("pod-1.0.A", ".safetensors").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(CONTENT[:-1], id="cut off"),
        pytest.param(CONTENT + b"x", id="too long"),
        pytest.param(CONTENT[:500] + b"x" + CONTENT[501:], id="a byte that was changed on its way"),
    ],
)
def test_a_copy_that_is_not_what_its_head_says_is_not_held_and_neither_is_the_one_before(
    tmp_path: Path, body: bytes
) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "pod-1.0.A", point=StatePoint(world=2, step=5))
    with pytest.raises(DamagedCopyError, match=r"of \d+ bytes came"):
        asyncio.run(shelf.receive("pod-1.0.A", write_head(a_head()), in_pieces(body)))
    assert shelf.parts() == ()


@pytest.mark.parametrize("name", ["../x.0.A", "pod-1.0.C", "pod-1", ".0.A"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DamagedCopyError, match="no name"):
        asyncio.run(Shelf(tmp_path).receive(name, write_head(a_head()), in_pieces(CONTENT)))


def test_what_older_worlds_left_goes_but_not_what_is_in_use(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    older = StatePoint(world=1, step=9)
    put(shelf, "me.0.A")
    put(shelf, "me.0.B", point=older)
    put(shelf, "me.1.A", point=older)
    put(shelf, "gone.0.A", point=older)
    put(shelf, "buddy.0.A")
    shelf.path("cut.0.A", ".safetensors").write_bytes(b"a copy that never was whole")

    shelf.tidy(2, own="me", slots=1)

    names = {path.name for path in shelf.folder.glob("*.safetensors")}
    assert names == {f"{name}.safetensors" for name in ("me.0.A", "me.0.B", "buddy.0.A")}
    assert {part.name for part in shelf.parts()} == {"me.0.A", "me.0.B", "buddy.0.A"}


# -- who holds what


@pytest.mark.parametrize(
    ("nodes", "place", "wanted", "found"),
    [
        pytest.param("abc", 0, 1, [1], id="the next one"),
        pytest.param("abc", 2, 2, [0, 1], id="after the last comes the first"),
        pytest.param("aab", 0, 1, [2], id="another node before another worker"),
        pytest.param("aaa", 1, 1, [2], id="on one node another worker has to do"),
        pytest.param("ab", 0, 3, [1], id="as many as there are"),
        pytest.param("a", 0, 1, [], id="nobody else"),
        pytest.param("ab", 0, 0, [], id="none wanted"),
    ],
)
def test_buddies_are_the_next_members_on_other_nodes(nodes: str, place: int, wanted: int, found: list[int]) -> None:
    run = a_run(*(a_member(index, node=node) for index, node in enumerate(nodes)))
    assert [member.worker for member in buddies(run, place, wanted)] == found


# -- who may ask


def test_only_the_newest_worlds_secret_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_NEWS_S", 0.05)

    async def play() -> None:
        admission = Admission()
        admission.hear(a_run(world=1))
        await admission.check("secret-1")
        admission.hear(Wait(world=2, secret="secret-2"))  # noqa: S106 - of no world
        await admission.check("secret-2")
        admission.hear(a_run(world=1))
        for secret in ("secret-1", "", "secret-3"):
            with pytest.raises(WrongSecretError):
                await admission.check(secret)

    asyncio.run(play())


def test_who_asks_before_the_world_is_heard_of_is_answered_once_it_is() -> None:
    async def play() -> None:
        admission = Admission()
        asked = asyncio.create_task(admission.check("secret-2"))
        await asyncio.sleep(0)
        admission.hear(a_run(world=2))
        await asyncio.wait_for(asked, 1)

    asyncio.run(play())


# -- from worker to worker


@asynccontextmanager
async def serving(shelf: Shelf) -> AsyncIterator[str]:
    """The snapshots part of a member's port."""
    admission = Admission()
    admission.hear(a_run())
    app = web.Application()
    app.add_routes(SnapshotServer(shelf=shelf, admission=admission, address=lambda: "here:1").routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_a_snapshot_is_held_when_the_buddy_has_it_and_found_there(tmp_path: Path) -> None:
    mine, theirs = Shelf(tmp_path / "mine"), Shelf(tmp_path / "theirs")
    put(mine, "pod-0.0.B")

    async def play() -> None:
        async with serving(theirs) as address, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            run = a_run(a_member(0), a_member(1, address=address))
            told: asyncio.Future[Held] = asyncio.get_running_loop().create_future()
            taken = SnapshotTaken(point=POINT, name="pod-0.0.B", copies=1)
            Copies(session, mine, group).begin(run, 0, 0, taken, told.set_result)
            held = await asyncio.wait_for(told, 10)
            assert (held.step, held.is_held) == (7, True)
            assert held.seconds > 0
            assert theirs.parts() == mine.parts()
            own = Inventory(address="10.0.0.0:8470", parts=())
            found = await find_inventories(session, run, own=own)
            assert found == (own, Inventory(address="here:1", parts=mine.parts()))
            stranger = replace(run, secret="another")  # noqa: S106 - of no world
            assert await find_inventories(session, stranger, own=own) == (own,)

    asyncio.run(play())


def test_a_buddy_that_is_gone_is_told_after_some_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_ATTEMPTS", 2)
    mine = Shelf(tmp_path)
    put(mine, "pod-0.0.B")

    async def play() -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            run = a_run(a_member(0), a_member(1, address="127.0.0.1:9"))
            told: asyncio.Future[Held] = asyncio.get_running_loop().create_future()
            taken = SnapshotTaken(point=POINT, name="pod-0.0.B", copies=1)
            Copies(session, mine, group).begin(run, 0, 0, taken, told.set_result)
            assert not (await asyncio.wait_for(told, 10)).is_held

    asyncio.run(play())
