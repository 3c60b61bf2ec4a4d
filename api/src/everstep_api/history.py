"""What a job's life cost: its launch, the losses that it outlived, avoided nodes, goodput."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from everstep_api.status_part import Number, PascalCase, Percent, StatusPart, Text, Word, WorldNumber

NEWEST_RECOVERIES = 20
MOMENTS = 60


class LaunchMilliseconds(StatusPart):
    """Where the time from startTime to the first step went; each stage ends when the whole first world is through."""

    scheduling: Number | None = None
    """Until the workers' pods had nodes, in milliseconds."""
    starting: Number | None = None
    """Until their containers ran, in milliseconds."""
    reporting: Number | None = None
    """Until their agents had reported, in milliseconds."""
    warming: Number | None = None
    """Until their ranks could start at once, in milliseconds."""
    entering: Number | None = None
    """Until the ranks of the first world had found one another, in milliseconds."""
    loading: Number | None = None
    """Until data, model and state were there, in milliseconds."""
    evaluating: Number | None = None
    """Until the held-out data was evaluated for the first time, if it is, in milliseconds."""
    first_step: Number | None = None
    """Until the end of the first step, in milliseconds."""


class RecoveryMilliseconds(StatusPart):
    """Where the time of a recovery went."""

    detect: Number | None = None
    """From the fault to its report, in milliseconds."""
    agree: Number | None = None
    """From the report to the next world, in milliseconds."""
    restore: Number | None = None
    """Until all ranks hold the state again, in milliseconds."""
    first_step: Number | None = None
    """Until the end of the first new step, in milliseconds."""


class PastRecovery(StatusPart):
    """One loss, and how the job went on."""

    time: AwareDatetime
    """When the loss was seen."""
    world: WorldNumber
    """Number of the world that ended by it."""
    cause: PascalCase
    """What was lost, in one word, such as WorkerLost."""
    signature: Text | None = None
    """What tells the same failure again: exit code, exception and place."""
    worker: Number | None = None
    """Index of the worker that was lost first."""
    node: Word | None = None
    """Its node."""
    counted: bool
    """Whether it counts against recovery.maxRestarts."""
    lost_steps: Number | None = None
    """Steps that had to be done again."""
    milliseconds: RecoveryMilliseconds | None = None
    """Where the time went."""


class FailureMoment(StatusPart):
    """Failures that were seen within a sixtieth of restartWindowSeconds."""

    time: AwareDatetime
    """When the first of them was seen."""
    counted: Number
    """How many there were."""


class FailureWindow(StatusPart):
    """The failures that count: those of the last restartWindowSeconds before the newest one."""

    counted: Number
    """How many there were."""
    moments: Annotated[tuple[FailureMoment, ...], Field(max_length=MOMENTS + 1)]
    """When they were, oldest first, to a sixtieth of the window; there may be 10,000 of them."""


class Recoveries(StatusPart):
    """The losses that the job outlived."""

    total: Number = 0
    """All of them."""
    window: FailureWindow | None = None
    """What recovery.maxRestarts is compared with."""
    recent: Annotated[tuple[PastRecovery, ...], Field(max_length=NEWEST_RECOVERIES)] = ()
    """The newest 20, newest first."""


class AvoidedNode(StatusPart):
    """A node on which no pod of the job is started for a time."""

    name: Word
    """Name of the node."""
    reason: Text
    """Why."""
    until: AwareDatetime
    """When it is tried again."""


class LostSeconds(StatusPart):
    """Seconds of the job's life without a new step, by cause."""

    scheduling: Number = 0
    """Waiting for pods, in seconds."""
    startup: Number = 0
    """Starting processes and loading the model, in seconds."""
    rework: Number = 0
    """Steps done a second time, in seconds."""
    recovery: Number = 0
    """From a loss to the next step, in seconds."""
    checkpoint: Number = 0
    """Steps held up by snapshots and checkpoints, in seconds."""


class Goodput(StatusPart):
    """Which part of the time went into steps that count."""

    percent: Percent
    """Useful time since startTime, in percent."""
    lost_seconds: LostSeconds = LostSeconds()
    """Where the rest went."""
