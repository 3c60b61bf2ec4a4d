"""Copies of snapshots: a worker's own go to its buddies, and what others hold is found when a world is entered."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path

import aiohttp

from everstep_agent.backoff import Backoff
from everstep_agent.snapshots import HEAD_BYTES, Shelf
from everstep_api.wire.decode import MalformedMessageError, decode
from everstep_api.wire.ranks import Held, SnapshotTaken
from everstep_api.wire.snapshots import FILE, HEAD, Inventory
from everstep_api.wire.sync import Member, Run

_log = logging.getLogger(__name__)

_PIECE_BYTES = 1024 * 1024
_ATTEMPTS = 3
_CONNECT_TIMEOUT_S = 2.0
_SLOWEST_BYTES_PER_S = 10_000_000
"""A copy that comes slower than this is given up."""
_INVENTORY_TIMEOUT_S = 1.0
"""Of one holder: whoever gives no answer in a second is taken for gone, and what only it holds for lost."""

Told = Callable[[Held], None]


def buddies(run: Run, place: int, copies: int) -> tuple[Member, ...]:
    """The members that hold copies of a worker's snapshots: the next ones on other nodes, or else on its own."""
    others = (*run.members[place + 1 :], *run.members[:place])
    elsewhere = tuple(member for member in others if member.node != run.members[place].node)
    return (elsewhere or others)[:copies]


class Copies:
    """Sends the newest snapshot of each slot; another one, or another world, ends the sending of the one before."""

    def __init__(self, session: aiohttp.ClientSession, shelf: Shelf, group: asyncio.TaskGroup) -> None:
        self._session = session
        self._shelf = shelf
        self._group = group
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, run: Run, place: int, slot: int, taken: SnapshotTaken, told: Told) -> None:
        """Bring it to all buddies, then tell whether they hold it."""
        if slot in self._tasks:
            self._tasks[slot].cancel()
        wanted = buddies(run, place, taken.copies)
        self._tasks[slot] = self._group.create_task(self._bring(run, wanted, taken, told))

    def stop(self) -> None:
        """Send nothing any more."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _bring(self, run: Run, wanted: tuple[Member, ...], taken: SnapshotTaken, told: Told) -> None:
        begin = asyncio.get_running_loop().time()
        results = await asyncio.gather(*(self._bring_to(member, run.secret, taken) for member in wanted))
        seconds = asyncio.get_running_loop().time() - begin if wanted else 0.0
        told(Held(step=taken.point.step, is_held=all(results), seconds=seconds))

    async def _bring_to(self, member: Member, secret: str, taken: SnapshotTaken) -> bool:
        backoff = Backoff(first_s=0.05, longest_s=1.0)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._put(member.address, secret, taken.name)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                _log.warning(
                    "A copy of a snapshot did not arrive: to=%s step=%d attempt=%d of %d error=%r",
                    member.address,
                    taken.point.step,
                    attempt,
                    _ATTEMPTS,
                    error,
                )
            else:
                return True
            if attempt < _ATTEMPTS:
                await asyncio.sleep(backoff.take())
        return False

    async def _put(self, address: str, secret: str, name: str) -> None:
        head, path = self._shelf.path(name, HEAD).read_bytes(), self._shelf.path(name, FILE)
        headers = {"Authorization": f"Bearer {secret}", HEAD_BYTES: str(len(head))}
        limit_s = _CONNECT_TIMEOUT_S + 1.0 + path.stat().st_size / _SLOWEST_BYTES_PER_S
        timeout = aiohttp.ClientTimeout(total=limit_s, connect=_CONNECT_TIMEOUT_S)
        url = f"http://{address}/snapshots/{name}"
        async with self._session.put(
            url, data=_content(head, path), headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            if response.status != HTTPStatus.OK:
                raise aiohttp.ClientPayloadError(f"status {response.status}: {(await response.text())[:200].strip()}")


async def find_inventories(session: aiohttp.ClientSession, run: Run, *, own: Inventory) -> tuple[Inventory, ...]:
    """What all holders of the world's directive have that answer in a second, and what is here."""
    addresses = {member.address for member in (*run.members, *run.holders)} - {own.address}
    found = await asyncio.gather(*(_ask(session, address, run.secret) for address in sorted(addresses)))
    return (own, *(inventory for inventory in found if inventory is not None))


async def _ask(session: aiohttp.ClientSession, address: str, secret: str) -> Inventory | None:
    timeout = aiohttp.ClientTimeout(total=_INVENTORY_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {secret}"}
    try:
        async with session.get(
            f"http://{address}/snapshots", headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            response.raise_for_status()
            inventory: Inventory = decode(await response.read(), Inventory)
    except (aiohttp.ClientError, OSError, TimeoutError, MalformedMessageError) as error:
        _log.info("A holder does not tell its snapshots: address=%s error=%r", address, error)
        return None
    return inventory


async def _content(head: bytes, path: Path) -> AsyncIterator[bytes]:
    yield head
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
