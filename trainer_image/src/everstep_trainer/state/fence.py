"""The fence: `worlds/<n>.json`, by which a world says before its first step where it took up the work.

Worlds that share no member may run at the same time, when the network has parted them. The older one does no harm: it
looks for a successor before it commits, and what it committed beyond its successor's beginning is void for all readers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from everstep_api.wire.decode import MalformedMessageError, decode, encode
from everstep_api.wire.sync import Resumed, StatePoint
from everstep_trainer.errors import DamagedError, FencedError
from everstep_trainer.objects import Store

FOLDER = "worlds"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRecord:
    """A world's beginning."""

    world: int
    step: int
    """The last step of that state; 0 for a beginning from nothing."""
    author: str
    """Another one for each process, so that of two that claim a number one learns that it is taken."""
    parent: int | None = None
    """The world whose state it took up; None for a beginning from nothing."""


def is_valid(point: StatePoint, worlds: Mapping[int, WorldRecord]) -> bool:
    """Whether a state may be gone on from: every later world took up the work at its step or later.

    This is the one rule for all readers of checkpoints and snapshots.
    """
    return all(record.step >= point.step for number, record in worlds.items() if number > point.world)


class Fence:
    """The fence of a job, as one of its worlds sees it."""

    def __init__(self, run: Store, world: int) -> None:
        self._run = run
        self._world = world

    def records(self) -> dict[int, WorldRecord]:
        """The beginnings of all worlds.

        Raises:
            DamagedError: one cannot be read.
        """
        return {number: self._read(number) for number in self._numbers()}

    def check(self) -> None:
        """Make sure that this world has no successor.

        Raises:
            FencedError: it has.
        """
        newest = max(self._numbers(), default=0)
        if newest > self._world:
            raise FencedError(own=self._world, seen=newest)

    def check_number(self) -> None:
        """Make sure that neither this world nor a later one has begun.

        Raises:
            FencedError: one has; the next world needs a greater number than it names.
        """
        newest = max(self._numbers(), default=0)
        if newest >= self._world:
            raise FencedError(own=self._world, seen=newest)

    def create(self, resumed: Resumed | None) -> None:
        """Write down where this world takes up the work; from now on older worlds commit nothing beyond it.

        Raises:
            FencedError: the number is taken.
        """
        parent, step = (resumed.world, resumed.step) if resumed else (None, 0)
        record = WorldRecord(world=self._world, parent=parent, step=step, author=str(uuid4()))
        if not self._run.put_if_absent(f"{FOLDER}/{self._world}.json", encode(record)):
            raise FencedError(own=self._world, seen=max(self._numbers()))
        self.check()

    def _numbers(self) -> list[int]:
        names = (entry.name.rpartition("/")[2].removesuffix(".json") for entry in self._run.entries(FOLDER))
        return [int(name) for name in names if name.isdecimal()]

    def _read(self, number: int) -> WorldRecord:
        name = f"{FOLDER}/{number}.json"
        try:
            record: WorldRecord = decode(self._run.get(name), WorldRecord)
        except MalformedMessageError as error:
            raise DamagedError(f"{self._run.uri}/{name} is damaged: {error}.") from error
        return record
