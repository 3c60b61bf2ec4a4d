"""A rank's two snapshot files, A and B, in the worker's memory: one is whole at any moment, the other may be written.

The loop waits for a copy from memory to memory alone, into pages that are there already: 6 GB/s, where a new file takes
half of that. A thread then takes the checksums and brings the head, by which alone the file counts, into its place.
"""

import logging
import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, thread_time
from typing import Literal
from zlib import crc32

import torch
from torch import Tensor

from everstep_api.wire.decode import MalformedMessageError
from everstep_api.wire.ranks import SnapshotTaken
from everstep_api.wire.snapshots import BLOCK_BYTES, FILE, HEAD, Head, read_head, write_head
from everstep_api.wire.sync import StatePoint
from everstep_trainer.parallel.shard import Chunk
from everstep_trainer.state.layout import Layout
from everstep_trainer.state.memory import Kept

log = logging.getLogger(__name__)

Letter = Literal["A", "B"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose files these are, and what they are parts of."""

    stem: str
    """Folder and first part of their names: `<folder>/<pod uid>.<slot>`."""
    world: int
    shard: int
    shards: int
    copies: int
    """How many other workers shall hold each snapshot."""


class Snapshots:
    """Takes one snapshot at a time. The tensors keep their memory as long as the world lasts."""

    def __init__(
        self,
        state: Iterable[tuple[Chunk, Tensor]],
        owner: Owner,
        *,
        resumed: StatePoint | None,
        tell: Callable[[SnapshotTaken], None],
    ) -> None:
        """Fix the layout and make the file that is written first; one that holds the resumed state stays for now.

        Raises:
            OSError: there is no room for it.
        """
        held = [(chunk, part) for chunk, part in state if part.numel() > 0]
        self._parts = [part for _, part in held]
        self._layout = Layout.of(chunk for chunk, _ in held)
        self._owner = owner
        self._tell = tell
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot")
        self._publishing: Future[float] | None = None
        self._files: dict[Letter, _File] = {}
        self._next: Letter = "B" if resumed is not None and self._point_of("A") == resumed else "A"
        self._open(self._next)

    @property
    def size_bytes(self) -> int:
        """Of one of the files."""
        return self._layout.size_bytes

    def take(self, step: int, kept: Kept) -> float:
        """Copy the state into the file that is not kept. The state may change when this returns.

        Return what a snapshot costs: the seconds of the copy, and those of a processor for the checksums of the last
        one, since the model is computed on processors, too.

        Raises:
            OSError: there is no room for the file.
        """
        begin, checksums_s = monotonic(), self._publishing.result() if self._publishing is not None else 0.0
        point = StatePoint(world=self._owner.world, step=step)
        file = self._open(self._next)
        file.forget()
        file.fill(self._parts)
        self._publishing = self._thread.submit(self._publish, file, point, kept)
        return monotonic() - begin + checksums_s

    def keep_last(self) -> None:
        """All ranks hold the last snapshot: from now on the file before it may be overwritten."""
        self._next = "A" if self._next == "B" else "B"

    def check(self) -> None:
        """Learn whether the last one could be finished, if it is.

        Raises:
            OSError: its head could not be written.
        """
        if self._publishing is not None and self._publishing.done():
            self._publishing.result()

    def finish(self) -> None:
        """Wait until the last one's head is in its place.

        Raises:
            OSError: it could not be written.
        """
        if self._publishing is not None:
            self._publishing.result()

    def _publish(self, file: "_File", point: StatePoint, kept: Kept) -> float:
        begin = thread_time()
        owner, layout = self._owner, self._layout
        file.remember(
            Head(
                point=point,
                shard=owner.shard,
                shards=owner.shards,
                size_bytes=layout.size_bytes,
                header_bytes=len(layout.header),
                header_crc32=crc32(layout.header),
                blocks_crc32=file.checksums(),
                state={"counters": kept.counters, "ledger": kept.ledger},
            )
        )
        self._tell(SnapshotTaken(point=point, name=file.stem.name, copies=owner.copies))
        return thread_time() - begin

    def _open(self, letter: Letter) -> "_File":
        if letter not in self._files:
            self._files[letter] = _File(self._stem(letter), self._layout, self._parts)
        return self._files[letter]

    def _stem(self, letter: Letter) -> Path:
        return Path(f"{self._owner.stem}.{letter}")

    def _point_of(self, letter: Letter) -> StatePoint | None:
        try:
            return read_head(_head_of(self._stem(letter)).read_bytes()).point
        except (OSError, MalformedMessageError):
            return None


class _File:
    """One of the two, mapped into memory as long as the process lives."""

    def __init__(self, stem: Path, layout: Layout, parts: Sequence[Tensor]) -> None:
        self.stem = stem
        self.forget()
        stem.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(stem.with_name(f"{stem.name}{FILE}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, layout.size_bytes)
            # Without its pages a mapping in a full volume ends the process by SIGBUS, at the first touch.
            os.posix_fallocate(descriptor, 0, layout.size_bytes)
            self._memory = mmap.mmap(descriptor, layout.size_bytes)
        finally:
            os.close(descriptor)
        self._memory[: len(layout.header)] = layout.header
        whole = torch.frombuffer(self._memory, dtype=torch.uint8)
        self._views = [
            whole[one.begin : one.begin + one.size_bytes].view(part.dtype).view(part.shape)
            for one, part in zip(layout.placed, parts, strict=True)
        ]

    def forget(self) -> None:
        """Let nobody take the file for a snapshot."""
        _head_of(self.stem).unlink(missing_ok=True)

    def fill(self, parts: Sequence[Tensor]) -> None:
        """Copy the tensors."""
        with torch.no_grad():
            torch._foreach_copy_(self._views, list(parts))

    def checksums(self) -> tuple[int, ...]:
        """Of each block."""
        whole = memoryview(self._memory)
        return tuple(crc32(whole[begin : begin + BLOCK_BYTES]) for begin in range(0, len(whole), BLOCK_BYTES))

    def remember(self, head: Head) -> None:
        """From now on the file is this snapshot."""
        path = _head_of(self.stem)
        draft = path.with_name(f".{path.name}")
        draft.write_bytes(write_head(head))
        draft.replace(path)


def _head_of(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}{HEAD}")
