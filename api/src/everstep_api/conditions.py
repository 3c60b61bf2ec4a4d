"""What is said about a job: the conditions, their reasons, and the sentences with the numbers.

A reason is a word for programs; it belongs to one condition and keeps its spelling. Its sentence is for people. Events
have the same reasons, so `MEANINGS` documents both; `OCCURRENCES` has what is told as an event alone.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class ConditionType(StrEnum):
    """What a condition is about."""

    ACCEPTED = "Accepted"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Reason(StrEnum):
    """Why a condition is as it is."""

    SPEC_RESOLVED = "SpecResolved"
    SPEC_INVALID = "SpecInvalid"
    TEMPLATE_MISSING = "TemplateMissing"
    POD_REFUSED = "PodRefused"

    ALL_SCHEDULED = "AllScheduled"
    WAITING_FOR_WORKERS = "WaitingForWorkers"

    TRAINING = "Training"
    STARTING = "Starting"
    RECOVERING = "Recovering"
    RESIZING = "Resizing"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    REFERENCE_MISSING = "ReferenceMissing"
    WORKER_CANNOT_START = "WorkerCannotStart"
    STANDING_STILL = "StandingStill"
    ENDED = "Ended"

    SUSPEND_WANTED = "SuspendWanted"
    SUSPEND_REACHED = "SuspendReached"
    RESUMED = "Resumed"

    MODEL_WRITTEN = "ModelWritten"

    RESTARTS_EXHAUSTED = "RestartsExhausted"
    SAME_FAILURE = "SameFailure"
    RULE_MATCHED = "RuleMatched"
    RECIPE_REFUSED = "RecipeRefused"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    STARTUP_DEADLINE_EXCEEDED = "StartupDeadlineExceeded"


class Occurrence(StrEnum):
    """What is told as an event alone, since it says nothing of how the job is."""

    PINNED_AGAIN = "PinnedAgain"


ConditionStatus = Literal["True", "False", "Unknown"]

MEANINGS: dict[Reason, tuple[ConditionType, ConditionStatus, str]] = {
    Reason.SPEC_RESOLVED: (ConditionType.ACCEPTED, "True", "job, profile and defaults make a spec that fits together"),
    Reason.SPEC_INVALID: (
        ConditionType.ACCEPTED,
        "False",
        "they do not fit together; nothing is made until the spec changes",
    ),
    Reason.TEMPLATE_MISSING: (
        ConditionType.ACCEPTED,
        "False",
        "the ConfigMap with the chat template is not there, or has not the key; it is looked for again",
    ),
    Reason.POD_REFUSED: (ConditionType.ACCEPTED, "False", "the API server refuses the pod; it is asked again"),
    Reason.ALL_SCHEDULED: (ConditionType.SCHEDULED, "True", "each wanted worker has a node"),
    Reason.WAITING_FOR_WORKERS: (
        ConditionType.SCHEDULED,
        "False",
        "some have none; the sentence has numbers and cause",
    ),
    Reason.TRAINING: (ConditionType.RUNNING, "True", "a world trains"),
    Reason.STARTING: (ConditionType.RUNNING, "False", "workers start, models load or data is prepared"),
    Reason.RECOVERING: (ConditionType.RUNNING, "False", "a worker or rank was lost and the next world forms"),
    Reason.RESIZING: (ConditionType.RUNNING, "False", "the next world forms because its size changes"),
    Reason.IMAGE_PULL_FAILED: (ConditionType.RUNNING, "False", "a node cannot get the image of a worker; it tries on"),
    Reason.REFERENCE_MISSING: (
        ConditionType.RUNNING,
        "False",
        "a Secret or ConfigMap that the job names is not there, or has not the key; workers start once it is",
    ),
    Reason.WORKER_CANNOT_START: (ConditionType.RUNNING, "False", "a node cannot start a worker; the sentence says why"),
    Reason.STANDING_STILL: (ConditionType.RUNNING, "False", "the job is suspended"),
    Reason.ENDED: (ConditionType.RUNNING, "False", "the job has ended"),
    Reason.SUSPEND_WANTED: (ConditionType.SUSPENDED, "False", "suspend is set and the work is made durable"),
    Reason.SUSPEND_REACHED: (ConditionType.SUSPENDED, "True", "suspend is set and there are no pods"),
    Reason.RESUMED: (ConditionType.SUSPENDED, "False", "suspend was taken back"),
    Reason.MODEL_WRITTEN: (ConditionType.COMPLETE, "True", "the model is at its address"),
    Reason.RESTARTS_EXHAUSTED: (ConditionType.FAILED, "True", "more failures than recovery.maxRestarts in the window"),
    Reason.SAME_FAILURE: (ConditionType.FAILED, "True", "the same failure at the same step, three times"),
    Reason.RULE_MATCHED: (ConditionType.FAILED, "True", "a rule of recovery.rules says FailJob"),
    Reason.RECIPE_REFUSED: (
        ConditionType.FAILED,
        "True",
        "the trainer cannot follow the recipe with this model and data",
    ),
    Reason.DEADLINE_EXCEEDED: (ConditionType.FAILED, "True", "more time than activeDeadlineSeconds went by"),
    Reason.STARTUP_DEADLINE_EXCEEDED: (
        ConditionType.FAILED,
        "True",
        "more time than startupDeadlineSeconds went by without a step",
    ),
}
"""For each reason its condition, that condition's status, and what it means."""

OCCURRENCES: dict[Occurrence, str] = {
    Occurrence.PINNED_AGAIN: "the job's ConfigMap was lost; the job is held to profile and defaults as they are now",
}
"""For each event that belongs to no condition, what it means."""


WARNINGS = frozenset(
    {
        Reason.SPEC_INVALID,
        Reason.TEMPLATE_MISSING,
        Reason.POD_REFUSED,
        Reason.RECOVERING,
        Reason.IMAGE_PULL_FAILED,
        Reason.REFERENCE_MISSING,
        Reason.WORKER_CANNOT_START,
        Occurrence.PINNED_AGAIN,
        *(reason for reason, (kind, _, _) in MEANINGS.items() if kind is ConditionType.FAILED),
    }
)
"""What somebody should read; the events of the others are `Normal`."""


def severity_of(reason: Reason | Occurrence) -> Literal["Normal", "Warning"]:
    """The type of the event."""
    return "Warning" if reason in WARNINGS else "Normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One thing to be said about a job, as a condition and as an event."""

    reason: Reason
    message: str

    @property
    def type(self) -> ConditionType:
        """The condition that the reason belongs to."""
        return MEANINGS[self.reason][0]

    @property
    def status(self) -> ConditionStatus:
        """The status that the condition has for this reason."""
        return MEANINGS[self.reason][1]
