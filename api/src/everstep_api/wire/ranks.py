"""Between an agent and the processes of its worker: JSON lines over the agent's Unix socket, one message a line.

The fork server connects first and says `ServerReady`; each rank that it forks connects by itself and says `Hello`.
At the end of the file a rank exits, and the agent knows that it is gone.
"""

from dataclasses import dataclass
from typing import Any, Literal

from everstep_api.wire.snapshots import Inventory
from everstep_api.wire.sync import MemoryTier, Phase, Resumed, StatePoint

# -- fork server ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReady:
    """Fork server → agent: everything is imported, and one thread runs."""

    pid: int
    kind: Literal["server-ready"] = "server-ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Agent → fork server: make a spare for this slot."""

    slot: int
    output: str
    """Path of a pipe that takes its standard output and error, which it opens before it says `Hello`: the agent passes
    the lines on and keeps the last of them. It is opened with O_NONBLOCK: an open that waits for an agent which is gone
    waits for ever."""
    kind: Literal["fork"] = "fork"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """Fork server → agent: a rank was reaped."""

    pid: int
    exit_code: int | None = None
    signal: int | None = None
    kind: Literal["exited"] = "exited"


# -- rank → agent -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first word of a spare."""

    pid: int
    slot: int
    kind: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """The rehearsal is over: this spare can enter at once."""

    kind: Literal["warm"] = "warm"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOpened:
    """Rank 0: the world's store listens here, and this is where its work goes on."""

    port: int
    resume: Resumed | None = None
    kind: Literal["store"] = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseBegun:
    """What the rank does from now on."""

    phase: Phase
    kind: Literal["phase"] = "phase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Rank 0: the plan is made or read."""

    total_steps: int
    most_ranks: int
    kind: Literal["planned"] = "planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """A step is done. Each rank tells its own seconds and memory, and rank 0 the numbers of the whole world, too."""

    step: int
    seconds: float
    loss: float | None = None
    tokens: int | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    data_wait_seconds: float | None = None
    device_bytes: int | None = None
    """The most memory of its device that the rank had allocated so far; absent without a device."""
    kind: Literal["step"] = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """The rank's snapshot is in memory: the agent copies it to its buddies and says `Held`."""

    point: StatePoint
    name: str
    """Of its file and head."""
    copies: int
    """How many other workers shall hold it; fewer when there are not as many."""
    kind: Literal["snapshot"] = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTold:
    """Rank 0: how the world keeps its state in memory, or why it does not."""

    tier: MemoryTier
    kind: Literal["tier"] = "tier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A manifest is in the storage."""

    point: StatePoint
    uri: str
    commit_time: str
    seconds: float
    size_bytes: int
    kind: Literal["durable"] = "durable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationMade:
    """The held-out data was evaluated."""

    step: int
    metrics: dict[str, float]
    kind: Literal["evaluation"] = "evaluation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The world was left after this step; the process ends now."""

    step: int
    kind: Literal["left"] = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The job is finished; rank 0 names the model."""

    output: str | None = None
    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The job cannot be done as it is written; the sentence says what to change."""

    sentence: str
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """A later world exists in the storage."""

    world_seen: int
    kind: Literal["fenced"] = "fenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An exception ends the rank."""

    exception: str
    message: str
    traceback: str
    kind: Literal["raised"] = "raised"


FromServer = ServerReady | Exited
FromRank = (
    Hello
    | Warm
    | StoreOpened
    | PhaseBegun
    | Planned
    | Stepped
    | SnapshotTaken
    | TierTold
    | Saved
    | EvaluationMade
    | Left
    | Done
    | Refused
    | Fenced
    | Raised
)
ToAgent = FromServer | FromRank

# -- agent → rank -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Whose work it is."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Become this rank of this world."""

    job: Job
    world: int
    rank: int
    size: int
    local_rank: int
    ranks_per_worker: int
    spec: dict[str, Any]
    host: str
    """Address under which the other members reach this worker; rank 0 opens its store there."""
    secret: str = ""
    """Of the world: the agents of its members and of other holders serve snapshots to who has it."""
    snapshots: str | None = None
    """Folder and first part of the names of this rank's own snapshots, `<folder>/<pod uid>.<slot>`; absent: it keeps
    none."""
    kind: Literal["enter"] = "enter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventories:
    """To rank 0 of an `Enter` with `snapshots`: what all holders have that answered within a second."""

    found: tuple[Inventory, ...]
    kind: Literal["inventories"] = "inventories"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinStore:
    """To all but rank 0: the world's store is here, and this is where its work goes on."""

    host: str
    port: int
    resume: Resumed | None = None
    kind: Literal["world"] = "world"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Whether all buddies hold the rank's snapshot of this step."""

    step: int
    is_held: bool = True
    """False when a buddy did not take its copy: the snapshot is not asked for again, the next one may be."""
    seconds: float = 0.0
    """How long the copies took."""
    kind: Literal["held"] = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAfterStep:
    """Stop with all other ranks after the same step; with `durable` once the state is in the storage."""

    durable: bool
    kind: Literal["stop"] = "stop"


ToRank = Enter | Inventories | JoinStore | Held | StopAfterStep
