"""A checkpoint read into a world of any size, every byte of it proved by its digest.

A rank holds whole rows of each tensor, and so did the ranks that saved: what it needs is a few ranges of bytes of a few
files. Files are read block by block, as they were digested, and nothing is used before its block is proved.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from everstep_api.wire.sync import StatePoint
from everstep_trainer.errors import DamagedError, RefusedError
from everstep_trainer.objects import Store
from everstep_trainer.parallel.shard import Chunk
from everstep_trainer.parallel.world import World
from everstep_trainer.state.fence import WorldRecord, is_valid
from everstep_trainer.state.layout import bytes_of
from everstep_trainer.state.manifest import (
    BLOCK_BYTES,
    Manifest,
    Part,
    folder_of,
    points_in,
    read_manifest,
    read_parts,
)

log = logging.getLogger(__name__)

State = Sequence[tuple[Chunk, Tensor]]


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


def restore_newest(run: Store, points: Sequence[StatePoint], state: State, world: World) -> Manifest:
    """Fill the state from the first of the checkpoints that is whole on all ranks.

    Raises:
        RefusedError: none is; the state is undefined.
    """
    for point in points:
        damage = None
        manifest = None
        try:
            manifest = restore(run, point, state)
        except DamagedError as error:
            damage = error
            log.error("The checkpoint of world %d, step %d is damaged: %s", point.world, point.step, error)  # noqa: TRY400 - the sentence says it all
        damaged = world.all_reduce(torch.tensor([damage is not None], dtype=torch.float64))
        if manifest is not None and damaged.item() == 0:
            return manifest
        log.error("%d ranks found damage; all take the checkpoint before step %d.", int(damaged.item()), point.step)
    raise RefusedError(
        f"None of the {len(points)} checkpoints under {run.uri}/ckpt is whole. Put the damaged objects back, or delete"
        " the job and its folder to begin anew."
    )


def restore(run: Store, point: StatePoint, state: State) -> Manifest:
    """Fill the tensors of the state from a checkpoint.

    Raises:
        DamagedError: something is missing or is not what was committed; the tensors are undefined then.
    """
    manifest = read_manifest(run, point)
    if manifest is None:
        raise DamagedError(f"{run.uri}/{folder_of(point)}/manifest.json is missing.")
    parts = read_parts(run, manifest)
    missing = {chunk.name: part.numel() * part.element_size() for chunk, part in state}
    for part in parts:
        segments = sorted(_segments(part, state), key=lambda segment: segment.begin)
        for segment in segments:
            missing[segment.name] -= segment.end - segment.begin
        _fill(run, f"{folder_of(point)}/{part.rank}.safetensors", part, segments)
    short = sorted(name for name, count in missing.items() if count != 0)
    if short:
        raise DamagedError(f"{run.uri}/{folder_of(point)} does not hold all of {short[0]} ({len(short)} such tensors).")
    return manifest


def _segments(part: Part, state: State) -> Iterator[Segment]:
    """What this rank needs of the part: the rows that both hold."""
    placed = {one.chunk.name: one for one in part.placed}
    for chunk, tensor in state:
        one = placed.get(chunk.name)
        if one is None:
            continue
        if (one.chunk.shape, one.chunk.dtype) != (chunk.shape, chunk.dtype):
            raise DamagedError(
                f"{chunk.name} is {one.chunk.dtype} {one.chunk.shape} in the checkpoint, {chunk.dtype} {chunk.shape} in"
                " the model."
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


def _fill(run: Store, name: str, part: Part, segments: Sequence[Segment]) -> None:
    """Read the blocks that hold the segments, prove each, and copy what is wanted of it."""
    for number, digest in enumerate(part.sha256):
        start = number * BLOCK_BYTES
        end = min(start + BLOCK_BYTES, part.size_bytes)
        inside = [segment for segment in segments if segment.begin < end and segment.end > start]
        if not inside:
            continue
        block = _read_block(run, name, start, end)
        if sha256(block).hexdigest() != digest:
            raise DamagedError(f"{run.uri}/{name} is damaged between byte {start} and byte {end}.")
        held = torch.frombuffer(block, dtype=torch.uint8)
        for segment in inside:
            begin, after = max(segment.begin, start), min(segment.end, end)
            at = segment.at + begin - segment.begin
            segment.into[at : at + after - begin].copy_(held[begin - start : after - start])


def _read_block(run: Store, name: str, start: int, end: int) -> bytearray:
    """The bytes; a file that is gone or too short is damage, and not a passing fault."""
    entry = run.head(name)
    if entry is None or entry.size_bytes < end:
        raise DamagedError(f"{run.uri}/{name} has {entry.size_bytes if entry else 0} bytes; at least {end} were saved.")
    return bytearray(run.get_range(name, start, end - start))
