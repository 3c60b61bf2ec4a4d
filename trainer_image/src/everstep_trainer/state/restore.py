"""A state read into a world of any size, every byte of it proved by its checksum: of a checkpoint or of a snapshot.

A rank holds whole rows of each tensor, and so did the ranks that wrote: what it needs is a few ranges of bytes of a few
files. Files are read block by block, as their checksums were taken, and nothing is used before its block is proved.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from everstep_api.wire.sync import StatePoint
from everstep_trainer.data.ledger import Line
from everstep_trainer.errors import DamagedError
from everstep_trainer.objects import Store
from everstep_trainer.parallel.shard import Chunk
from everstep_trainer.parallel.world import World
from everstep_trainer.state.fence import WorldRecord, is_valid
from everstep_trainer.state.layout import Placed, bytes_of
from everstep_trainer.state.manifest import Counters, folder_of, points_in

log = logging.getLogger(__name__)

State = Sequence[tuple[Chunk, Tensor]]


class StateFile(Protocol):
    """The file that one rank wrote."""

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Where its tensors lie."""

    @property
    def size_bytes(self) -> int:
        """Of all of it."""

    @property
    def block_bytes(self) -> int:
        """Of each block but the last."""

    def block(self, number: int) -> bytearray:
        """The bytes of a block, proved. Raises `DamagedError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a state is made of."""

    counters: Counters
    files: tuple[StateFile, ...]
    """Of all ranks that wrote."""
    ledger: tuple[Line, ...] = ()
    """Lines of steps that may be in no file of the storage yet."""


class Source(Protocol):
    """A state that may be gone on from, and where it lies."""

    @property
    def point(self) -> StatePoint:
        """Which state."""

    @property
    def tier(self) -> str:
        """`Memory` or `Durable`."""

    def open(self) -> Content:
        """What it is made of. Raises `DamagedError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A state that was taken up, but for its tensors."""

    source: Source
    counters: Counters
    ledger: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Bytes of a file that belong to one of this rank's tensors."""

    name: str
    begin: int
    end: int
    into: Tensor
    """The tensor's memory, as bytes."""
    at: int
    """The byte of it at which the segment goes."""


def valid_points(run: Store, worlds: dict[int, WorldRecord]) -> list[StatePoint]:
    """The committed checkpoints that may be gone on from, the newest first: world before step.

    A manifest that cannot be read counts as one that may be committed, so that its damage is met, and told, when it is
    restored.
    """
    return [
        point
        for point in points_in(run)
        if is_valid(point, worlds) and run.head(f"{folder_of(point)}/manifest.json") is not None
    ]


def restore_newest(sources: Sequence[Source], state: State, world: World) -> Restored | None:
    """Fill the state from the first of the sources that is whole on all ranks; None where none is.

    Without one the tensors are undefined.
    """
    for source in sources:
        point, damage, content = source.point, None, None
        try:
            content = restore(source, state)
        except DamagedError as error:
            damage = error
            log.error("%s is damaged: %s", _named(source), error)  # noqa: TRY400 - the sentence says it all
        damaged = world.all_reduce(torch.tensor([damage is not None], dtype=torch.float64))
        if content is not None and damaged.item() == 0:
            return Restored(source=source, counters=content.counters, ledger=content.ledger)
        log.error("%d ranks found damage; all take the state before step %d.", int(damaged.item()), point.step)
    return None


def restore(source: Source, state: State) -> Content:
    """Fill the tensors of the state.

    Raises:
        DamagedError: something is missing or is not what was written; the tensors are undefined then.
    """
    content = source.open()
    missing = {chunk.name: part.numel() * part.element_size() for chunk, part in state}
    for file in content.files:
        segments = sorted(_segments(file, state), key=lambda segment: segment.begin)
        for segment in segments:
            missing[segment.name] -= segment.end - segment.begin
        _fill(file, segments)
    short = sorted(name for name, count in missing.items() if count != 0)
    if short:
        raise DamagedError(f"It does not hold all of {short[0]} ({len(short)} such tensors).")
    return content


def _named(source: Source) -> str:
    kind = "snapshot" if source.tier == "Memory" else "checkpoint"
    return f"The {kind} of world {source.point.world}, step {source.point.step}"


def _segments(file: StateFile, state: State) -> Iterator[Segment]:
    """What this rank needs of the file: the rows that both hold."""
    placed = {one.chunk.name: one for one in file.placed}
    for chunk, tensor in state:
        one = placed.get(chunk.name)
        if one is None:
            continue
        if (one.chunk.shape, one.chunk.dtype) != (chunk.shape, chunk.dtype):
            raise DamagedError(
                f"{chunk.name} is {one.chunk.dtype} {one.chunk.shape} there, {chunk.dtype} {chunk.shape} in the model."
            )
        first = max(chunk.start, one.chunk.start)
        after = min(chunk.start + chunk.rows, one.chunk.start + one.chunk.rows)
        if first < after:
            yield Segment(
                name=chunk.name,
                begin=one.begin + (first - one.chunk.start) * one.row_bytes,
                end=one.begin + (after - one.chunk.start) * one.row_bytes,
                into=bytes_of(tensor),
                at=(first - chunk.start) * one.row_bytes,
            )


def _fill(file: StateFile, segments: Sequence[Segment]) -> None:
    """Read the blocks that hold the segments, and copy what is wanted of each; both are in the file's order."""
    size, waiting = file.block_bytes, list(segments)
    number = 0
    while waiting:
        number = max(number, waiting[0].begin // size)
        start, end = number * size, min((number + 1) * size, file.size_bytes)
        held = torch.frombuffer(file.block(number), dtype=torch.uint8)
        for segment in waiting:
            if segment.begin >= end:
                break
            begin, after = max(segment.begin, start), min(segment.end, end)
            at = segment.at + begin - segment.begin
            segment.into[at : at + after - begin].copy_(held[begin - start : after - start])
        waiting = [segment for segment in waiting if segment.end > end]
        number += 1
