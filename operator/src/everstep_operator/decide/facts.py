"""What is, gathered at one moment: all that a decision may know.

Nothing here remembers. What a decision needs of the past stands in the job's status, except for what only this process
can have seen, such as how long an agent has been silent; that is asked of the moments kept beside each report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import AgentState, Report
from everstep_operator.decide.pin import Pin

PodPhase = Literal["Pending", "Running", "Succeeded", "Failed"]


class JobKey(NamedTuple):
    """A job's place in the cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A TrainingJob as it was read."""

    key: JobKey
    uid: str
    generation: int
    version: str
    """Its resourceVersion, the precondition of the next status write."""
    spec: Manifest
    status: TrainingJobStatus
    is_deleted: bool = False
    """Whether its deletion has begun; then nothing new is made for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the trainer's container ended the last time."""

    exit_code: int
    reason: str
    """What the kubelet calls it: `Error`, `OOMKilled`, `Completed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What is wrong with a pod, in the words of who sees it."""

    reason: str
    """One word: `Unschedulable`, `ErrImagePull`, `Evicted`."""
    message: str = ""
    container: str = ""
    """The container that it is about; empty: the whole pod."""
    image: str = ""
    """That container's image."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.reason and self.message else self.reason or self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod of the job, reduced to what decides anything."""

    name: str
    uid: str
    worker: int
    phase: PodPhase
    created: datetime
    node: str = ""
    is_deleted: bool = False
    """Whether its deletion has begun."""
    image: str = ""
    """The image of its trainer's container as `name@sha256:…`; empty while the node has not told that."""
    scheduled: datetime | None = None
    """When it was given its node."""
    obstacle: Obstacle | None = None
    """Why it does not run, as scheduler or kubelet say it; None when nothing is known to be wrong."""
    started: datetime | None = None
    """When its trainer's container last started; None while that does not run."""
    restarts: int = 0
    last_ending: Ending | None = None

    @property
    def is_live(self) -> bool:
        """Whether it runs or may still come to run."""
        return self.phase in {"Pending", "Running"} and not self.is_deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """The newest report of a pod's agent, with the moments that the report itself cannot know."""

    report: Report
    heard: datetime
    """When the newest report came in."""
    state_since: datetime
    """When the agent first told its present state."""
    advanced: datetime
    """When its world, phase or step last changed."""
    restarted: datetime | None = None
    """When its boot id was first another one; None when this leader has heard one alone."""
    failed: datetime | None = None
    """When it first told the failure that it tells now."""

    @property
    def can_enter(self) -> bool:
        """Whether it takes a new world at once: its spares are warm, or it has them beside the ranks of a world."""
        return self.report.state in {AgentState.READY, AgentState.TRAINING, AgentState.DONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the cluster refused at the last try."""

    sentence: str
    """The API server's own words."""
    generation: int
    """Of the spec whose pods it refused; another one is tried at once."""
    retry_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient decisions are. The operator's settings say why these are the values."""

    progress_every: timedelta = timedelta(seconds=15)
    """Least time between two status writes that bring nothing but progress."""
    patience: timedelta = timedelta(seconds=10)
    """How long a world that could start with fewer waits for one more worker to become warm."""
    silence: timedelta = timedelta(seconds=10)
    """Silence after which a member of a world that stands still is lost."""
    unknown: timedelta = timedelta(seconds=30)
    """Time after which a member that this leader never heard counts as silent."""
    growth_every: timedelta = timedelta(seconds=60)
    """Least age of a world that is replaced to take in more workers."""
    grace: timedelta = timedelta(seconds=60)
    """Time that a pod has between the wish that it ends and its end."""
    pause_margin: timedelta = timedelta(seconds=10)
    """How much sooner than `grace` a pause must be over, so that its snapshot is out before the pod ends."""
    echo: timedelta = timedelta(seconds=1)
    """How long a rank that lost its connection to another one waits to be explained by that other one's failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """All that a decision about one job may know."""

    now: datetime
    leading_since: datetime
    """When this process began to hear reports; who was never heard before that is unknown, not silent."""
    job: Job
    profiles: Mapping[str, Manifest] = field(default_factory=dict)
    image: str = ""
    """The release's image of the workers."""
    chat_template: str | None = None
    """The text of the key that the recipe names as its chat template, before the job is pinned to one."""
    pin: Pin | None = None
    """What the job is held to; None before its first start."""
    pods: tuple[Pod, ...] = ()
    agents: Mapping[str, Agent] = field(default_factory=dict)
    """By the uid of the pod."""
    refusal: Refusal | None = None
    limits: Limits = Limits()
