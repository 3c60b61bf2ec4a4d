"""Between operator and agent: the report, which says what is, and the directive, which says what shall be.

    PUT /v1/namespaces/{namespace}/trainingjobs/{uid}/agents/{podUID}                     Report → Answer
    GET /v1/namespaces/{namespace}/trainingjobs/{uid}/agents/{podUID}/directive?seen=V    → Directive, once V is old

Both are level-triggered: each message is the whole truth of its sender, so that one that was lost, doubled or late
does no harm. The fencing token is (job uid, world number): a world is heard of only after the write that made it.
No answer means: go on. 410 means the pod is not wanted, as `stop` does; 503 means to ask again.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

PROTOCOL = 1
"""The number of this protocol; the last two are spoken."""

LONGEST_REPORT_BYTES = 65_536
LONGEST_WORDS_BYTES = 8_192
DIRECTIVE_HOLD_S = 20.0


class AgentState(StrEnum):
    """How an agent is."""

    STARTING = "starting"
    """Its ranks are not warm yet."""
    READY = "ready"
    """In no world; its spares are warm, and after a pause its snapshot is held."""
    TRAINING = "training"
    """In a world."""
    STOPPING = "stopping"
    """It was told to end, by a signal or by a directive."""
    DONE = "done"
    """Its world has finished the job; held until `finish`."""


class Phase(StrEnum):
    """What the ranks of a world do."""

    ENTER = "enter"
    LOAD = "load"
    PREPARE = "prepare"
    TRAIN = "train"
    EVALUATE = "evaluate"
    SAVE = "save"
    EXPORT = "export"


class FailureCause(StrEnum):
    """How a rank was lost. PascalCase, since it becomes the reason of a condition."""

    REFUSED = "Refused"
    """The trainer refused the recipe, the data or the model: `message` is its sentence. Trying again is in vain."""
    RANK_EXITED = "RankExited"
    """It ended by itself with an exit code."""
    RANK_KILLED = "RankKilled"
    """A signal ended it."""
    RANK_FROZEN = "RankFrozen"
    """Its process stood still."""
    STEP_HUNG = "StepHung"
    """Its step took longer than it may."""
    PEER_LOST = "PeerLost"
    """Its connection to another rank broke. The other one's loss is the cause, if that is told too."""
    FENCED = "Fenced"
    """A later world exists in the storage; `world_seen` is its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The loss of a rank, told until a later world is heard of."""

    world: int
    cause: FailureCause
    rank: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    exception: str | None = None
    """Type of the exception that ended it, with its module."""
    message: str = ""
    """A sentence for people, or the exception's own words."""
    last_words: str = ""
    """Its last lines, at most 8 kB."""
    world_seen: int | None = None
    """With `Fenced`: the greatest world in the storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The newest step of a world, as its first rank told it."""

    step: int
    total_steps: int | None = None
    loss: float | None = None
    tokens_per_second: float | None = None
    step_seconds: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePoint:
    """A state that can be gone on from: the world that wrote it and its last step."""

    world: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableCheckpoint:
    """A checkpoint whose manifest is in the storage."""

    world: int
    step: int
    uri: str
    commit_time: str
    """RFC 3339, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Where a world took up the work."""

    world: int
    step: int
    tier: Literal["Memory", "Durable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTier:
    """How a world keeps its state in its workers' memory."""

    every_steps: int | None = None
    """Steps from one snapshot to the next, as chosen; absent: there are none."""
    message: str | None = None
    """Why there are none, with the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """An evaluation of the held-out data."""

    step: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that an agent knows."""

    protocol: int
    boot_id: str
    """Of this agent process: another one means that the container was started again."""
    worker: int
    address: str
    """Where its port answers, `host:port`."""
    node: str
    state: AgentState
    ranks: int
    """Ranks that this worker runs in a world: `processesPerWorker`, or the devices that it sees."""
    world: int | None = None
    """The world that it is in, or was in last."""
    phase: Phase | None = None
    progress: Progress | None = None
    most_ranks: int | None = None
    """Micro-batches in a step: a world of more ranks would have idle ones. Known once the plan is."""
    resumed: Resumed | None = None
    """Where its world took up the work; absent for a beginning."""
    snapshots: tuple[StatePoint, ...] = ()
    """The newest that all of its own ranks, and their buddies, hold: at most one."""
    memory: MemoryTier | None = None
    """Known once the world trains."""
    durable: DurableCheckpoint | None = None
    evaluations: tuple[Evaluated, ...] = ()
    """The newest, at most 20, oldest first."""
    unreachable: tuple[str, ...] = ()
    """pod uids of neighbours that gave no answer."""
    failure: Failure | None = None
    output: str | None = None
    """With `done`: the address of the finished model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the operator answers to a report."""

    next_report_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A worker in a world; its place in the list decides its ranks."""

    worker: int
    pod_uid: str
    address: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Be in no world: end the ranks, keep the snapshots."""

    world: int | None = None
    """The world that others are in, to which snapshots are served."""
    secret: str = ""
    """Of that world."""
    kind: Literal["wait"] = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Be in this world: go on, or end older ranks and enter."""

    world: int
    members: tuple[Member, ...]
    """In the order of their ranks: global rank = place * ranks_per_worker + local rank."""
    ranks_per_worker: int
    secret: str
    """Lets members read each other's worlds and snapshots. It never reaches a log."""
    holders: tuple[Member, ...] = ()
    """Workers that may hold snapshots, members or not."""
    kind: Literal["run"] = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stop this world after a step; `ready` once the state is held, or with `durable` once it is in the storage."""

    world: int
    durable: bool = False
    kind: Literal["pause"] = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end is recorded: exit with 0."""

    kind: Literal["finish"] = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Not wanted any more: end the ranks, exit with 0."""

    kind: Literal["stop"] = "stop"


Action = Wait | Run | Pause | Finish | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """What an agent shall do, with all that its ranks need to know of the job."""

    digest: str
    """Of the rest; the next request gives it back as `seen`."""
    action: Action
    spec: dict[str, Any] = field(default_factory=dict)
    """The job's resolved spec, as the manifest has it."""
