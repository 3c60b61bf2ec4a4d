"""What happens to a worker, and what its agent orders: the two alphabets of `state`."""

from dataclasses import dataclass
from typing import Any, Literal

from everstep_agent.lastwords import Ending
from everstep_api.wire.ranks import FromRank, JoinStore, SnapshotTaken
from everstep_api.wire.sync import Directive, Run, StatePoint
from everstep_api.wire.table import Input

# -- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The operator has said what shall be; a 410 is heard as `stop`."""

    directive: Directive


@dataclass(frozen=True, slots=True, kw_only=True)
class SparesCounted:
    """How the spares are."""

    warm: frozenset[int]
    """Slots that have a warm one."""
    failures: int
    """How many have died since the last one became warm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerLost:
    """No spare can be had from this container any more."""

    sentence: str
    last_words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A rank of a world has said something."""

    world: int
    slot: int
    message: FromRank


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The process of a rank is gone."""

    world: int
    slot: int
    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFound:
    """The first member has told where the world's store is."""

    world: int
    store: JoinStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotHeld:
    """A rank's snapshot is held by all who shall hold it."""

    world: int
    slot: int
    point: StatePoint


@dataclass(frozen=True, slots=True, kw_only=True)
class GracePassed:
    """The grace period has begun with SIGTERM, is nearly over, or is over."""

    cause: Literal[Input.SIGNAL, Input.NEAR_END, Input.END]


Event = Heard | SparesCounted | ForkServerLost | Said | Ended | StoreFound | SnapshotHeld | GracePassed

# -- orders -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberWorld:
    """Note, where the next process of this agent finds it, that this world is known."""

    world: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterWorld:
    """Make the spares its ranks, and learn where its store is."""

    run: Run
    place: int
    """Of this worker among the members."""
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareStore:
    """Tell the world's store to the ranks that did not open it, and to the members that ask."""

    world: int
    store: JoinStore


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySnapshot:
    """Bring a rank's snapshot to the buddies, then tell the rank."""

    run: Run
    place: int
    """Of this worker among the members."""
    slot: int
    taken: SnapshotTaken


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRanks:
    """Ask the ranks to stop after a step."""

    durable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRanks:
    """Kill the ranks of the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Report once more, and exit with this code."""

    code: int


Order = RememberWorld | EnterWorld | ShareStore | CopySnapshot | StopRanks | EndRanks | Exit
