"""What the operator tells about a job: `kubectl get tj` reads it, and so does the operator after a restart.

The operator is the only writer and writes the whole status each time. `world.number` is the fencing token of the job,
so the API server refuses a status that loses or lowers it, or that changes the members under it. Nor does it let go of
the condition by which a job has ended: a finished job never comes back.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from everstep_api.conditions import ConditionStatus, ConditionType, Statement
from everstep_api.history import AvoidedNode, Goodput, LaunchMilliseconds, Recoveries
from everstep_api.progress import Checkpoints, EvaluationHistory, Progress, Result
from everstep_api.resource import Distinct, by_name
from everstep_api.rules import Rule, Transition, formatted
from everstep_api.status_part import Number, PascalCase, Sentence, StatusPart, Word, WorldNumber
from everstep_api.workers import MOST_WORKERS


class Condition(StatusPart):
    """One thing that is so, or is not, or is not known yet."""

    type: ConditionType
    """What the condition is about."""
    status: ConditionStatus
    """Whether it is so."""
    observed_generation: Number | None = None
    """Generation of the spec of which it is said."""
    last_transition_time: AwareDatetime
    """When the status last changed; a new message alone does not move it."""
    reason: PascalCase
    """One word for programs."""
    message: Sentence
    """A sentence for people, with the objects and numbers."""


class Display(StatusPart):
    """What `kubectl get` shows and its columns cannot compute."""

    step: Word | None = None
    """Step and steps in all, `1262/5000`."""
    workers: Word | None = None
    """Workers in training and workers wanted, `4/4`."""
    remaining: Word | None = None
    """Time left, `1h30m`."""
    metric: Word | None = None
    """Newest value of the metric that decides which checkpoint is the best, `loss 1.83`."""


class UsedProfile(StatusPart):
    """The profile with which the job first started; it stays the job's own afterwards."""

    name: Word
    """Name of the profile."""
    digest: Word
    """Digest of its text."""


class WorkerCounts(StatusPart):
    """The job's pods, counted."""

    active: Number = 0
    """Pods that exist and have not ended."""
    ready: Number = 0
    """Pods whose ranks could start at once."""
    training: Number = 0
    """Pods that are members of the world."""
    selector: Word | None = None
    """Label selector of the job's pods, for `kubectl get pods -l` and autoscalers."""


class Member(StatusPart):
    """A worker in a world. Its place in the list decides the ranks."""

    worker: Annotated[int, Field(ge=0, lt=MOST_WORKERS)]
    """Index of the worker."""
    pod_uid: Annotated[str, Field(alias="podUID", max_length=64)]
    """uid of its pod."""


class ResumePoint(StatusPart):
    """Where a world took up the work."""

    step: Number
    """Last step that was done before."""
    tier: Literal["Memory", "Durable"]
    """Where the state came from: the workers' memory or the storage."""


WRONG_SIZE = "size is %d but there are %d members; write the number of members as size"


def _same_members(field: str) -> str:
    """A CEL expression: these values are the same in the same order, which `==` does not ask of lists with a key."""
    return f"self.members.map(m, m.{field}) == oldSelf.members.map(m, m.{field})"


class World(StatusPart):
    """The workers that train together, under one number; it never changes, it is replaced."""

    guards = (
        Rule(
            cel="self.size == size(self.members)",
            sentence_cel=formatted(WRONG_SIZE, ["self.size", "size(self.members)"]),
            check=lambda world: (
                None if world.size == len(world.members) else WRONG_SIZE % (world.size, len(world.members))
            ),
            at=".size",
        ),
    )
    transitions = (
        Transition.of(
            "self.number >= oldSelf.number",
            says="world.number cannot fall from %d to %d; read the job again and decide anew",
            shows=["oldSelf.number", "self.number"],
            at=".number",
        ),
        Transition.of(
            f"self.number != oldSelf.number || ({_same_members('worker')} && {_same_members('podUID')})",
            says="world %d keeps its members and their order; form a world with a greater number for other members",
            shows=["self.number"],
            at=".members",
        ),
    )

    number: WorldNumber
    """Number of the world, up to 2147483647; it only grows."""
    size: Annotated[int, Field(ge=1, le=MOST_WORKERS)]
    """Number of members."""
    wanted: Number | None = None
    """Number of workers that the spec asked for when the world was formed."""
    start_time: AwareDatetime
    """When the world was formed."""
    pause_time: AwareDatetime | None = None
    """When it was asked to pause, for another world or because the job is suspended."""
    end_time: AwareDatetime | None = None
    """When it was lost, or left after a pause; the next one has not been formed yet."""
    # The API server compares each member with each other one: 0.1 s for 1,024 of them, 0.4 s for 2,048.
    members: Annotated[tuple[Member, ...], Field(max_length=MOST_WORKERS), Distinct(key="worker", also="pod_uid")]
    """The workers, in the order of their ranks; none stands in it twice."""
    resumed_from: ResumePoint | None = None
    """Where it took up the work; absent for a beginning, and where it is not known."""


_ENDED = 'filter(c, c.type in ["Complete", "Failed"] && c.status == "True")'


class TrainingJobStatus(StatusPart):
    """What the operator tells about the job; nobody else writes it."""

    guards = (
        Rule.of(
            f"!has(self.conditions) || self.conditions.{_ENDED}.size() <= 1",
            holds=lambda status: len(status.endings) <= 1,
            says="conditions has both Complete and Failed, but a job ends once; keep the first of the two",
            at=".conditions",
        ),
    )
    transitions = (
        Transition.of(
            "!has(oldSelf.world) || has(self.world)",
            says="the status would lose world %d, which numbers the next one; read the job again and write all of it",
            shows=["oldSelf.world.number"],
            at=".world",
        ),
        Transition.of(
            f"!has(oldSelf.conditions) || oldSelf.conditions.{_ENDED}.all(c, has(self.conditions) && "
            'self.conditions.exists(d, d.type == c.type && d.status == "True"))',
            says="the job has ended as %s, which is final; create a job with another name to train again",
            shows=[f"oldSelf.conditions.{_ENDED}[0].type"],
            at=".conditions",
        ),
    )

    observed_generation: Number | None = None
    """Generation of the spec that the rest of the status is about."""
    phase: Literal["Pending", "Starting", "Running", "Recovering", "Suspended", "Complete", "Failed"] | None = None
    """The state in one word, for people; programs read the conditions."""
    reason: PascalCase | None = None
    """Reason of the first condition that blocks."""
    display: Display | None = None
    """What `kubectl get` shows."""
    start_time: AwareDatetime | None = None
    """When the job was accepted, from which activeDeadlineSeconds counts; suspending resets it."""
    launch_milliseconds: LaunchMilliseconds | None = None
    """Where the time until the first step went; suspending resets it."""
    completion_time: AwareDatetime | None = None
    """When the job ended, well or not."""
    trainer_image: Annotated[str, Field(max_length=1024)] | None = None
    """Image of the workers, with its digest once a node has told it; pods that are made later run the same."""
    profile: UsedProfile | None = None
    """The profile that the job took."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(max_length=len(ConditionType)),
        Distinct(key="type"),
    ] = ()
    """What is so and what is not, with reasons and numbers."""
    workers: WorkerCounts | None = None
    """The job's pods, counted."""
    world: World | None = None
    """The workers that train together now, or did so last."""
    progress: Progress | None = None
    """How far the training is."""
    checkpoints: Checkpoints | None = None
    """Where the work is safe."""
    recoveries: Recoveries | None = None
    """The losses that the job outlived."""
    avoided_nodes: Annotated[tuple[AvoidedNode, ...], Field(max_length=64), by_name] = ()
    """Nodes on which no pod of the job is started for a time."""
    goodput: Goodput | None = None
    """Which part of the time went into steps that count."""
    evaluation: EvaluationHistory | None = None
    """Evaluations of the held-out data."""
    output: Result | None = None
    """What came out."""

    @property
    def endings(self) -> tuple[Condition, ...]:
        """The conditions by which the job has ended; there is at most one."""
        return tuple(
            condition
            for condition in self.conditions
            if condition.type in {ConditionType.COMPLETE, ConditionType.FAILED} and condition.status == "True"
        )


def stated(
    conditions: Sequence[Condition], statement: Statement, *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with the statement among them; its time moves only when its status flips."""
    before = next((condition for condition in conditions if condition.type == statement.type), None)
    after = Condition(
        type=statement.type,
        status=statement.status,
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and before.status == statement.status else now,
        reason=statement.reason,
        message=statement.message,
    )
    if before is None:
        return (*conditions, after)
    return tuple(after if condition is before else condition for condition in conditions)
