"""A snapshot as a state to restore from: its parts are read from this worker's memory, or from who else holds them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol
from zlib import crc32

from everstep_api.wire.decode import MalformedMessageError, decode
from everstep_api.wire.snapshots import BLOCK_BYTES, FILE, HEAD, Head, Inventory, read_head
from everstep_api.wire.sync import StatePoint
from everstep_trainer.data.ledger import from_text
from everstep_trainer.errors import DamagedError
from everstep_trainer.state.fence import WorldRecord, is_valid
from everstep_trainer.state.layout import Layout, Placed
from everstep_trainer.state.manifest import Counters
from everstep_trainer.state.restore import Content

_TIMEOUT_S = 5.0
"""Of each connection, and of each wait for more bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of a training state is in the head of a snapshot."""

    counters: Counters
    ledger: str = ""
    """The ledger's lines of steps that may be in no file of the storage yet, as it has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a part is to be had."""

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """A snapshot of which somebody holds each part."""

    point: StatePoint
    parts: tuple[tuple[Place, ...], ...]
    """By shard, the places of each."""


def whole_snapshots(found: Iterable[Inventory], worlds: Mapping[int, WorldRecord]) -> list[Holdings]:
    """The snapshots that may be gone on from and of which every part is held, the newest first: world before step."""
    places: dict[tuple[int, int, int], dict[int, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for inventory in found:
        for part in inventory.parts:
            if is_valid(part.point, worlds):
                key = (part.point.world, part.point.step, part.shards)
                places[key][part.shard].append(Place(name=part.name, address=inventory.address))
    return [
        Holdings(point=StatePoint(world=world, step=step), parts=tuple(tuple(held[shard]) for shard in range(shards)))
        for (world, step, shards), held in sorted(places.items(), reverse=True)
        if held.keys() >= set(range(shards))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot in the memory of workers."""

    holdings: Holdings
    folder: Path
    """Where this worker's own agent keeps what it holds."""
    secret: str
    """Of the world, for the agents of others."""

    @property
    def point(self) -> StatePoint:
        """The state that it holds."""
        return self.holdings.point

    @property
    def tier(self) -> str:
        """Where it lies."""
        return "Memory"

    def open(self) -> Content:
        """What it is made of.

        Raises:
            DamagedError: a part is to be had nowhere, or is not what was written.
        """
        files = [self._open_part(shard, places) for shard, places in enumerate(self.holdings.parts)]
        kept = files[0].kept
        ledger = tuple(from_text(kept.ledger.encode(), "The head of a snapshot"))
        return Content(counters=kept.counters, files=tuple(files), ledger=ledger)

    def _open_part(self, shard: int, places: Iterable[Place]) -> "_Part":
        """The part from the first place where it is whole, this worker's own memory before all."""
        problems = []
        for read in self._readers(places):
            try:
                return _opened(read, point=self.point, shard=shard)
            except (OSError, HTTPException, ValueError, KeyError, DamagedError) as error:
                problems.append(f"{error}")
        raise DamagedError(f"Part {shard} is to be had nowhere: {'; '.join(problems)}.")

    def _readers(self, places: Iterable[Place]) -> "Iterable[_Read]":
        wanted = list(places)
        for place in wanted:
            if (self.folder / f"{place.name}{HEAD}").exists():
                yield partial(_read_file, self.folder / place.name)
        for place in wanted:
            yield partial(_fetch, place, self.secret)


class _Read(Protocol):
    def __call__(self, ending: str, begin: int = 0, length: int | None = None) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One rank's file at one place."""

    head: Head
    kept: Kept
    placed: tuple[Placed, ...]
    read: _Read

    @property
    def size_bytes(self) -> int:
        """Of all of it."""
        return self.head.size_bytes

    @property
    def block_bytes(self) -> int:
        """Of each block but the last."""
        return BLOCK_BYTES

    def block(self, number: int) -> bytearray:
        """The bytes of a block, proved by its checksum.

        Raises:
            DamagedError: they are not those that were written, or cannot be had any more.
        """
        begin = number * BLOCK_BYTES
        length = min(BLOCK_BYTES, self.size_bytes - begin)
        try:
            content = bytearray(self.read(FILE, begin, length))
        except (OSError, HTTPException) as error:
            raise DamagedError(f"Part {self.head.shard} cannot be read any more: {error}") from error
        if len(content) != length or crc32(content) != self.head.blocks_crc32[number]:
            raise DamagedError(f"Part {self.head.shard} is damaged between byte {begin} and byte {begin + length}.")
        return content


def _opened(read: _Read, *, point: StatePoint, shard: int) -> _Part:
    head = read_head(read(HEAD))
    if head.point != point or head.shard != shard:
        raise DamagedError(f"It is part {head.shard} of world {head.point.world}, step {head.point.step} by now")
    header = read(FILE, 0, head.header_bytes)
    if crc32(header) != head.header_crc32:
        raise DamagedError("Its header is damaged")
    try:
        kept: Kept = decode(json.dumps(head.state), Kept)
    except MalformedMessageError as error:
        raise DamagedError(f"Its head is of another release: {error}") from error
    return _Part(head=head, kept=kept, placed=Layout.read(header).placed, read=read)


def _read_file(stem: Path, ending: str, begin: int = 0, length: int | None = None) -> bytes:
    with stem.with_name(f"{stem.name}{ending}").open("rb") as file:
        file.seek(begin)
        return file.read(-1 if length is None else length)


def _fetch(place: Place, secret: str, ending: str, begin: int = 0, length: int | None = None) -> bytes:
    """The bytes, from the agent at that address."""
    headers = {"Authorization": f"Bearer {secret}"}
    if length is not None:
        headers["Range"] = f"bytes={begin}-{begin + length - 1}"
    connection = HTTPConnection(place.address, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", f"/snapshots/{place.name}{ending}", headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise DamagedError(f"{place.address} answers {answer.status} for {place.name}{ending}")
    return content
