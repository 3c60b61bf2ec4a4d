"""The sentences of the conditions: whole ones, with the objects and the numbers in them."""

from collections.abc import Sequence

from everstep_api.conditions import Reason, Statement
from everstep_api.model import LONGEST_TEMPLATE
from everstep_api.origin import Mistake

SAME_FAILURES = 3
"""The same failure at the same step so many times is the program's fault: chance does not aim."""


def spec_resolved(profile: str | None) -> Statement:
    """The job can have pods."""
    taken = f"with the profile {profile}" if profile else "without a profile"
    return Statement(reason=Reason.SPEC_RESOLVED, message=f"The spec is complete, {taken}.")


def spec_invalid(mistakes: Sequence[Mistake]) -> Statement:
    """The job cannot have pods; all that is wrong at once.

    The job exists, so what never changes in it cannot be mended: only a new job can have it right.
    """
    lines = (
        f"{mistake.sentence}, then delete the job and apply it anew." if mistake.is_lasting else f"{mistake.sentence}."
        for mistake in mistakes
    )
    return Statement(reason=Reason.SPEC_INVALID, message="\n".join(lines))


def template_missing(name: str, key: str, *, characters: int | None = None) -> Statement:
    """The chat template cannot be taken from the ConfigMap; `characters` is the text's length where there is one."""
    lack = "is not there" if characters is None else f"has {characters:,} characters"
    message = (
        f"The key {key} of the ConfigMap {name}, which spec.recipe.model.chatTemplate names, {lack}; give the job's"
        f" namespace a ConfigMap {name} with 1 to {LONGEST_TEMPLATE:,} characters under {key}."
    )
    return Statement(reason=Reason.TEMPLATE_MISSING, message=message)


def pod_refused(sentence: str) -> Statement:
    """The API server refuses the job's pods with this sentence."""
    return Statement(reason=Reason.POD_REFUSED, message=f"The API server refuses the pods of this job: {sentence}")


def pinned_again(profile: str | None, *, is_same: bool) -> str:
    """The job's ConfigMap was lost, and with it what the job was held to."""
    taken = f"the profile {profile}" if profile else "no profile"
    change = "as before" if is_same else "another one than before"
    return (
        f"The job's ConfigMap was lost; the job is held to the built-in defaults of this release and to {taken},"
        f" {change}."
    )


def all_scheduled(workers: int) -> Statement:
    """Each wanted worker has a node."""
    return Statement(reason=Reason.ALL_SCHEDULED, message=f"{_of(workers, workers)} scheduled.")


def waiting_for_workers(scheduled: int, *, wanted: int, enough: int, cause: str) -> Statement:
    """Some workers have no node; `enough` of them would do, and `cause` is the scheduler's or the node's sentence."""
    goal = "all are needed" if enough == wanted else f"{enough} are enough to train"
    message = f"{_of(scheduled, wanted)} scheduled, {goal}: {cause}"
    return Statement(reason=Reason.WAITING_FOR_WORKERS, message=message)


def image_pull_failed(some: int, *, wanted: int, image: str, said: str, field: str) -> Statement:
    """Nodes cannot get the image; `said` is the kubelet's sentence and `field` names the image."""
    message = (
        f"{_of(some, wanted)} cannot get the image {image}: {_without_stop(said)}; correct {field}, or name the Secret"
        " of its registry in spec.workers.template.spec.imagePullSecrets."
    )
    return Statement(reason=Reason.IMAGE_PULL_FAILED, message=message)


def reference_missing(some: int, *, wanted: int, lack: str, field: str, remedy: str) -> Statement:
    """What the job names is not there; `lack` says what, `field` names it, and `remedy` is what to do."""
    message = f"{_of(some, wanted)} cannot start: {lack}, which {field} names; {remedy}."
    return Statement(reason=Reason.REFERENCE_MISSING, message=message)


def worker_cannot_start(some: int, *, wanted: int, said: str, pod: str) -> Statement:
    """The kubelet cannot start a container and says this of it."""
    message = f"{_of(some, wanted)} cannot start: {_without_stop(said)}; `kubectl describe pod {pod}` shows more."
    return Statement(reason=Reason.WORKER_CANNOT_START, message=message)


def slow_start(worker: int, *, node: str, pod: str) -> str:
    """A container is not made for long, and nobody says why: its image is large, or a volume is not to be had."""
    return (
        f"Worker {worker} has waited on the node {node} for more than a minute for its image and its volumes;"
        f" `kubectl describe pod {pod}` shows for which."
    )


def starting(ready: int, *, wanted: int) -> Statement:
    """Workers start and no world trains yet."""
    return Statement(reason=Reason.STARTING, message=f"{_of(ready, wanted)} ready to train.")


def loading(world: int, *, size: int, doing: str) -> Statement:
    """The first world is formed and makes no steps yet; `doing` is what it does."""
    return Statement(reason=Reason.STARTING, message=f"World {world} of {_count(size, 'worker')} {doing}.")


def taking_up(world: int, *, size: int, resume_step: int) -> str:
    """A later world is formed and makes no steps yet; it resumes after `resume_step`. The occasion has the reason."""
    return f"World {world} takes up step {resume_step + 1:,} with {_count(size, 'worker')}."


def training(world: int, *, size: int) -> Statement:
    """A world trains."""
    return Statement(reason=Reason.TRAINING, message=f"World {world} trains with {_count(size, 'worker')}.")


def training_with_idle(world: int, *, size: int, replicas: int, useful: int) -> Statement:
    """A world trains, and no world could have all the workers that are wanted: a step has too few micro-batches."""
    message = (
        f"{training(world, size=size).message} Of {replicas:,} wanted it can use {useful:,}, since a step has no more"
        " micro-batches; a smaller recipe.batch.microSize in a new job gives more."
    )
    return Statement(reason=Reason.TRAINING, message=message)


def resizing(size: int, *, to: int) -> Statement:
    """The world pauses, for one of another size."""
    return Statement(reason=Reason.RESIZING, message=f"The world goes from {_count(size, 'worker')} to {to:,}.")


def suspend_wanted(step: int) -> Statement:
    """The job stops; its work is made durable first."""
    message = f"Suspending: step {step:,} is written to the storage, then the pods are deleted."
    return Statement(reason=Reason.SUSPEND_WANTED, message=message)


def suspend_reached(step: int) -> Statement:
    """The job stands still."""
    return Statement(reason=Reason.SUSPEND_REACHED, message=f"Suspended; it resumes at step {step + 1:,}.")


def resumed() -> Statement:
    """The job goes on."""
    return Statement(reason=Reason.RESUMED, message="Resumed.")


def standing_still() -> Statement:
    """No world trains, since the job is suspended."""
    return Statement(reason=Reason.STANDING_STILL, message="The job is suspended; set suspend to false to go on.")


def ended() -> Statement:
    """No world trains any more."""
    return Statement(reason=Reason.ENDED, message="The job has ended.")


def model_written(uri: str, *, steps: int) -> Statement:
    """The job is done."""
    message = f"Trained {_count(steps, 'step')}; the model is at {uri}."
    return Statement(reason=Reason.MODEL_WRITTEN, message=message)


def restarts_exhausted(failures: int, *, window_s: int, last: str) -> Statement:
    """The budget is spent; `last` is the sentence about the last failure."""
    message = (
        f"{_count(failures, 'failure')} within {window_s:,} s, more than recovery.maxRestarts; the last one: {last}"
    )
    return Statement(reason=Reason.RESTARTS_EXHAUSTED, message=message)


def same_failure(step: int, *, failure: str) -> Statement:
    """The program fails at the same place again and again."""
    message = f"The same failure came {SAME_FAILURES} times at step {step:,}, so another try would not help: {failure}"
    return Statement(reason=Reason.SAME_FAILURE, message=message)


def rule_matched(rule: str, *, exit_code: int) -> Statement:
    """A rule of the job gives it up."""
    message = f"A rank exited with code {exit_code}; the rule {rule} of recovery.rules fails the job."
    return Statement(reason=Reason.RULE_MATCHED, message=message)


def recipe_refused(sentence: str) -> Statement:
    """The trainer cannot follow the recipe."""
    return Statement(reason=Reason.RECIPE_REFUSED, message=sentence)


def deadline_exceeded(limit_s: int, *, step: int) -> Statement:
    """The job took too long."""
    message = f"The job did not end within activeDeadlineSeconds ({limit_s:,}); it had reached step {step:,}."
    return Statement(reason=Reason.DEADLINE_EXCEEDED, message=message)


def startup_deadline_exceeded(limit_s: int, *, stage: str) -> Statement:
    """The job took too long to its first step; `stage` is what it was doing."""
    message = f"The job made no step within startupDeadlineSeconds ({limit_s:,}); at the end: {stage}"
    return Statement(reason=Reason.STARTUP_DEADLINE_EXCEEDED, message=message)


def _without_stop(sentence: str) -> str:
    return sentence.strip().rstrip(".")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _of(some: int, wanted: int) -> str:
    return f"{some:,} of {_count(wanted, 'worker')}"
