"""What a worker holds of snapshots, its own ranks' and copies for others, in a folder of the pod's memory.

    GET /snapshots                         Inventory
    GET /snapshots/{name}.head             the head · 404 not held
    GET /snapshots/{name}.safetensors      the file, by ranges
    PUT /snapshots/{name}                  a copy: its head, as long as `Everstep-Head-Bytes` says, and the file
                                           200 held · 409 not what its head says · 507 no room

Each with the secret of the newest world that this worker has heard of. Files are written in place, since new pages in
memory cost as much again as their content.
"""

import asyncio
import hmac
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from everstep_api.wire.decode import MalformedMessageError
from everstep_api.wire.snapshots import BLOCK_BYTES, FILE, HEAD, NAME, Head, HeldPart, read_head
from everstep_api.wire.sync import Run, Wait

FOLDER = "snapshots"
HEAD_BYTES = "Everstep-Head-Bytes"
_NEWS_S = 1.0
"""How long who asks with another world's secret waits for it to be heard of here: so long asks who enters."""


class WrongSecretError(Exception):
    """Who asks is in no world that is the newest here."""


class DamagedCopyError(Exception):
    """What came is not what its head says."""


class Admission:
    """Knows the secret of the newest world of which this worker has heard, as a member or not."""

    def __init__(self) -> None:
        self._world = 0
        self._secret = ""
        self._news = asyncio.Event()

    def hear(self, action: object) -> None:
        """Take up what a directive tells."""
        if isinstance(action, Run | Wait) and action.world is not None and action.secret and action.world > self._world:
            self._world, self._secret = action.world, action.secret
            self._news.set()
            self._news = asyncio.Event()

    async def check(self, secret: str) -> None:
        """Return once this is the newest world's secret.

        Raises:
            WrongSecretError: it has not become that in a second.
        """
        try:
            async with asyncio.timeout(_NEWS_S):
                while not self._secret or not hmac.compare_digest(secret.encode(), self._secret.encode()):
                    await self._news.wait()
        except TimeoutError:
            raise WrongSecretError from None


class Shelf:
    """The snapshots in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self._taken: set[str] = set()
        """Names of copies that are being written."""

    def stem(self, pod_uid: str, slot: int) -> str:
        """Folder and first part of the names of a rank's own snapshots."""
        return str(self.folder / f"{pod_uid}.{slot}")

    def parts(self) -> tuple[HeldPart, ...]:
        """All parts that are whole here."""
        return tuple(
            HeldPart(name=name, point=head.point, shard=head.shard, shards=head.shards) for name, head in self._heads()
        )

    def path(self, name: str, ending: str) -> Path:
        """Where a file or a head is."""
        return self.folder / f"{name}{ending}"

    async def receive(self, name: str, head_text: bytes, body: AsyncIterator[bytes]) -> Head:
        """Write a copy in the place of the one before.

        Raises:
            DamagedCopyError: it is not what its head says; nothing is held under this name then.
            OSError: there is no room for it.
        """
        if NAME.fullmatch(name) is None or name in self._taken:
            raise DamagedCopyError(f"{name} is no name of a snapshot, or is being written")
        try:
            head = read_head(head_text)
        except MalformedMessageError as error:
            raise DamagedCopyError(f"{error}") from error
        self._taken.add(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path(name, HEAD).unlink(missing_ok=True)
            await _write(self.path(name, FILE), head, body)
            draft = self.path(f".{name}", HEAD)
            draft.write_bytes(head_text)
            draft.replace(self.path(name, HEAD))
        finally:
            self._taken.discard(name)
        return head

    def tidy(self, world: int, *, own: str, slots: int) -> None:
        """Remove what is of worlds before this one, whose own snapshots are committed. Files in use are kept."""
        in_use = {f"{own}.{slot}.{letter}" for slot in range(slots) for letter in "AB"} | self._taken
        current = {name for name, head in self._heads() if head.point.world >= world}
        for path in self.folder.glob(f"*{FILE}"):
            name = path.name.removesuffix(FILE)
            if name not in in_use | current:
                self.path(name, HEAD).unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def _heads(self) -> Iterator[tuple[str, Head]]:
        for path in sorted(self.folder.glob(f"*{HEAD}")):
            name = path.name.removesuffix(HEAD)
            if NAME.fullmatch(name) is not None:
                with suppress(MalformedMessageError, FileNotFoundError):  # its rank writes another one at this moment
                    yield name, read_head(path.read_bytes())


async def _write(path: Path, head: Head, body: AsyncIterator[bytes]) -> None:
    """Write the file in place, and prove each of its blocks."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, head.size_bytes)
        checksums, current, at = [], 0, 0
        async for chunk in body:
            rest = memoryview(chunk)
            while rest:
                piece = rest[: BLOCK_BYTES - at % BLOCK_BYTES]
                os.pwrite(descriptor, piece, at)
                current, at, rest = crc32(piece, current), at + len(piece), rest[len(piece) :]
                if at % BLOCK_BYTES == 0 or at == head.size_bytes:
                    checksums.append(current)
                    current = 0
    finally:
        os.close(descriptor)
    if at != head.size_bytes or tuple(checksums) != head.blocks_crc32:
        raise DamagedCopyError(f"{at} of {head.size_bytes} bytes came, and their checksums are not those of the head")
