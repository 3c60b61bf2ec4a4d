"""A durable checkpoint as a state to restore from: its files are read from the storage."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from everstep_api.wire.sync import StatePoint
from everstep_trainer.errors import DamagedError
from everstep_trainer.objects import Store
from everstep_trainer.state.layout import Placed
from everstep_trainer.state.manifest import BLOCK_BYTES, Part, folder_of, read_manifest, read_parts
from everstep_trainer.state.restore import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One that may be committed; that it is damaged is met when it is opened or read."""

    run: Store
    point: StatePoint

    @property
    def tier(self) -> str:
        """Where it lies."""
        return "Durable"

    def open(self) -> Content:
        """What it is made of.

        Raises:
            DamagedError: it is not, or not what was committed.
        """
        manifest = read_manifest(self.run, self.point)
        folder = folder_of(self.point)
        if manifest is None:
            raise DamagedError(f"{self.run.uri}/{folder}/manifest.json is missing.")
        files = tuple(
            _File(run=self.run, name=f"{folder}/{part.rank}.safetensors", part=part)
            for part in read_parts(self.run, manifest)
        )
        return Content(counters=manifest.counters, files=files)


def checkpoints(run: Store, points: Iterable[StatePoint]) -> list[Checkpoint]:
    """The checkpoints of these states in a job's folder."""
    return [Checkpoint(run=run, point=point) for point in points]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A rank's file in the storage."""

    run: Store
    name: str
    part: Part

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Where its tensors lie."""
        return self.part.placed

    @property
    def size_bytes(self) -> int:
        """Of all of it."""
        return self.part.size_bytes

    @property
    def block_bytes(self) -> int:
        """Of each block but the last."""
        return BLOCK_BYTES

    def block(self, number: int) -> bytearray:
        """The bytes of a block, proved by its digest.

        Raises:
            DamagedError: they are not those that were saved.
        """
        start = number * BLOCK_BYTES
        end = min(start + BLOCK_BYTES, self.size_bytes)
        entry = self.run.head(self.name)
        if entry is None or entry.size_bytes < end:
            found = entry.size_bytes if entry else 0
            raise DamagedError(f"{self.run.uri}/{self.name} has {found} bytes; at least {end} were saved.")
        content = bytearray(self.run.get_range(self.name, start, end - start))
        if sha256(content).hexdigest() != self.part.sha256[number]:
            raise DamagedError(f"{self.run.uri}/{self.name} is damaged between byte {start} and byte {end}.")
        return content
