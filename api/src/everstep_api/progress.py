"""How far a job is: the step, the newest values, the checkpoints, the evaluations, the result."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from everstep_api.resource import by_name
from everstep_api.status_part import Number, Percent, StatusPart, Text, Word

NEWEST_EVALUATIONS = 20


class Figure(StatusPart):
    """A measured value."""

    name: Word
    """Name of the metric."""
    value: Annotated[str, Field(max_length=64)]
    """The value as text, since it may be `nan`."""


Figures = Annotated[tuple[Figure, ...], Field(max_length=32), by_name]


class Progress(StatusPart):
    """How far the training is."""

    step: Number
    """Last step that was done."""
    total_steps: Number | None = None
    """Steps in all; absent until the data is counted."""
    percent: Percent | None = None
    """Steps done, in percent."""
    tokens_per_second: Number | None = None
    """Tokens per second over all workers."""
    estimated_remaining_seconds: Number | None = None
    """Seconds until the last step at the present speed."""
    last_update_time: AwareDatetime
    """When this was measured."""
    metrics: Figures = ()
    """Newest values, the loss among them."""


class DurableCheckpoint(StatusPart):
    """The newest checkpoint in the storage."""

    step: Number
    """Its step."""
    uri: Text
    """Its folder."""
    commit_time: AwareDatetime
    """When its manifest was written, which makes it valid."""


class MemorySnapshot(StatusPart):
    """The memory tier."""

    step: Number | None = None
    """Newest step that all ranks hold."""
    every_steps: Number | None = None
    """Steps from one snapshot to the next, as chosen."""
    message: Text | None = None
    """Why there are none, with the numbers."""


class Checkpoints(StatusPart):
    """Where the work is safe."""

    durable: DurableCheckpoint | None = None
    """The newest in the storage."""
    memory: MemorySnapshot | None = None
    """The newest in the workers' memory."""


class EvaluationPoint(StatusPart):
    """One evaluation of the held-out data."""

    step: Number
    """The step after which it was made."""
    metrics: Figures = ()
    """Its values."""


class EvaluationHistory(StatusPart):
    """Evaluations of the held-out data."""

    latest: EvaluationPoint | None = None
    """The newest."""
    history: Annotated[tuple[EvaluationPoint, ...], Field(max_length=NEWEST_EVALUATIONS)] = ()
    """The newest 20, newest first."""


class Result(StatusPart):
    """What came out."""

    uri: Text
    """Address of the finished model."""
