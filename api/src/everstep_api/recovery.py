"""What a job does when a part of it dies: how it keeps its work, and when it gives up."""

from typing import Annotated, Literal

from pydantic import Field

from everstep_api.resource import Resource, absent, as_set, by_name, first_counts
from everstep_api.values import Count, Name, Seconds, auto_or


class Keep(Resource):
    """Which durable checkpoints are kept in the storage."""

    last: Annotated[int, Field(ge=2, le=1000)] = 3
    """Number of newest checkpoints that are kept, at least 2: if the newest is damaged, the one before it is used."""
    best: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of checkpoints with the best evaluation that are kept as well."""


class Snapshots(Resource):
    """Copies of the training state in the workers' memory: the first source of a recovery."""

    copies: Annotated[int, Field(ge=0, le=3)] = 1
    """Number of other nodes that hold a copy of each worker's snapshot; with 0, losing a node loses its snapshot."""
    every_steps: Annotated[int | Literal["auto"], auto_or("steps")] = "auto"
    """Steps from one snapshot to the next. Write a whole number, or `auto` for as often as costs less than 1 % of the
    time."""


class Checkpoint(Resource):
    """How often the work is saved, and which work a new job takes up."""

    resume_policy: Literal["SameRecipe", "Never"] = "SameRecipe"
    """`SameRecipe` takes up the newest checkpoint of an earlier job with this name, recipe and data; one that was
    finished has no steps left, so that its model is written again. `Never` starts from the beginning."""
    every_steps: Count = 500
    """Steps from one durable checkpoint to the next; everySeconds may come first."""
    every_seconds: Seconds = 600
    """Seconds from one durable checkpoint to the next; everySteps may come first."""
    keep: Keep = Keep()
    """Which durable checkpoints are kept."""
    snapshots: Snapshots = Snapshots()
    """Copies of the training state in the workers' memory, from which a recovery takes seconds."""


class ExitCodes(Resource):
    """A set of exit codes of a rank."""

    operator: Literal["In", "NotIn"]
    """`In`: the code is one of the values; `NotIn`: it is not."""
    values: Annotated[tuple[Annotated[int, Field(ge=1, le=255)], ...], Field(min_length=1, max_length=64), as_set]
    """Exit codes from 1 to 255; a rank killed by signal n has 128 + n."""


class RecoveryRule(Resource):
    """What to do about a failure that the rule matches; the first rule that matches counts."""

    name: Name
    """Name of the rule; it stands in the events."""
    on_exit_codes: ExitCodes
    """The exit codes of a rank that the rule is for."""
    action: Literal["FailJob", "Ignore", "Count", "ReplacePod"]
    """`FailJob` gives up at once, `Ignore` restarts without counting, `Count` restarts and counts, `ReplacePod` counts
    and takes a new pod."""


class Recovery(Resource):
    """How many failures the job survives, and when a lack of progress counts as one."""

    max_restarts: Annotated[int, Field(ge=0, le=10_000)] = 10
    """Failures of the program that the job survives within restartWindowSeconds; one more fails it. Lost nodes,
    evictions
    and other disruptions do not count."""
    restart_window_seconds: Seconds = 3600
    """Seconds after which a failure no longer counts."""
    step_timeout_seconds: Annotated[int, Field(ge=20, le=86_400)] = 600
    """Seconds after which a step counts as hung. The first step after a start or a recovery, loading, evaluating and
    saving may take three times as long."""
    rules: Annotated[
        tuple[RecoveryRule, ...], Field(max_length=32), by_name, first_counts, absent("every failure counts")
    ] = ()
    """What to do about certain exit codes: the first rule that matches decides, those of the job before those of the
    profile. A failure that no rule matches counts."""
