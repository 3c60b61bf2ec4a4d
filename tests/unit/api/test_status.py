"""Conditions and their sentences, and the way of a status into JSON and back."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from everstep_api import sentences
from everstep_api.conditions import MEANINGS, ConditionType, Reason, Statement
from everstep_api.job import TrainingJob
from everstep_api.origin import Mistake
from everstep_api.progress import Figure, Progress
from everstep_api.reading import Unreadable, read
from everstep_api.status import Condition, TrainingJobStatus, World, stated
from tests.builders import Manifest, a_job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=60)

SAID: dict[str, tuple[Statement, str]] = {
    "resolved with a profile": (sentences.spec_resolved("h100"), "The spec is complete, with the profile h100."),
    "resolved without one": (sentences.spec_resolved(None), "The spec is complete, without a profile."),
    "an invalid spec": (
        sentences.spec_invalid([Mistake(sentence="a is 1; use 2"), Mistake(sentence="b is 3; use 4", is_lasting=True)]),
        "a is 1; use 2.\nb is 3; use 4, then delete the job and apply it anew.",
    ),
    "no chat template": (
        sentences.template_missing("chat", "chat.jinja"),
        (
            "The key chat.jinja of the ConfigMap chat, which spec.recipe.model.chatTemplate names, is not there; give"
            " the job's namespace a ConfigMap chat with 1 to 65,536 characters under chat.jinja."
        ),
    ),
    "refused pods": (sentences.pod_refused("no quota."), "The API server refuses the pods of this job: no quota."),
    "all scheduled": (sentences.all_scheduled(4), "4 of 4 workers scheduled."),
    "waiting for all": (
        sentences.waiting_for_workers(1, wanted=4, enough=4, cause="no node has a GPU left."),
        "1 of 4 workers scheduled, all are needed: no node has a GPU left.",
    ),
    "waiting for some": (
        sentences.waiting_for_workers(1, wanted=4, enough=2, cause="no node has a GPU left."),
        "1 of 4 workers scheduled, 2 are enough to train: no node has a GPU left.",
    ),
    "starting": (sentences.starting(0, wanted=1), "0 of 1 worker ready to train."),
    "no image": (
        sentences.image_pull_failed(1, wanted=4, image="trainer:7", said="access denied.", field="spec.workers.image"),
        (
            "1 of 4 workers cannot get the image trainer:7: access denied; correct spec.workers.image, or name the"
            " Secret of its registry in spec.workers.template.spec.imagePullSecrets."
        ),
    ),
    "no Secret": (
        sentences.reference_missing(
            4, wanted=4, lack="there is no Secret keys", field="spec.credentials[bucket].secretRef", remedy="create it"
        ),
        (
            "4 of 4 workers cannot start: there is no Secret keys, which spec.credentials[bucket].secretRef names;"
            " create it."
        ),
    ),
    "a start that fails": (
        sentences.worker_cannot_start(1, wanted=4, said="no such device.", pod="finetune-0-1a2b3"),
        "1 of 4 workers cannot start: no such device; `kubectl describe pod finetune-0-1a2b3` shows more.",
    ),
    "training": (sentences.training(3, size=8), "World 3 trains with 8 workers."),
    "recovering": (
        Statement(reason=Reason.RECOVERING, message=sentences.taking_up(2, size=5, resume_step=1199)),
        "World 2 takes up step 1,200 with 5 workers.",
    ),
    "resizing": (sentences.resizing(2, to=4), "The world goes from 2 workers to 4."),
    "suspending": (
        sentences.suspend_wanted(1200),
        "Suspending: step 1,200 is written to the storage, then the pods are deleted.",
    ),
    "suspended": (sentences.suspend_reached(1200), "Suspended; it resumes at step 1,201."),
    "resumed": (sentences.resumed(), "Resumed."),
    "standing still": (sentences.standing_still(), "The job is suspended; set suspend to false to go on."),
    "ended": (sentences.ended(), "The job has ended."),
    "done": (
        sentences.model_written("s3://team/runs/model", steps=5000),
        "Trained 5,000 steps; the model is at s3://team/runs/model.",
    ),
    "too many failures": (
        sentences.restarts_exhausted(11, window_s=3600, last="rank 3 exited with code 1."),
        "11 failures within 3,600 s, more than recovery.maxRestarts; the last one: rank 3 exited with code 1.",
    ),
    "the same failure": (
        sentences.same_failure(17, failure="IndexError in model.py."),
        "The same failure came 3 times at step 17, so another try would not help: IndexError in model.py.",
    ),
    "a rule": (
        sentences.rule_matched("bad-data", exit_code=42),
        "A rank exited with code 42; the rule bad-data of recovery.rules fails the job.",
    ),
    "a refused recipe": (sentences.recipe_refused("maxLength is 4096; use 2048."), "maxLength is 4096; use 2048."),
    "a deadline": (
        sentences.deadline_exceeded(86_400, step=4000),
        "The job did not end within activeDeadlineSeconds (86,400); it had reached step 4,000.",
    ),
    "a startup deadline": (
        sentences.startup_deadline_exceeded(3600, stage="1 of 4 workers scheduled."),
        "The job made no step within startupDeadlineSeconds (3,600); at the end: 1 of 4 workers scheduled.",
    ),
}


@pytest.mark.parametrize(("statement", "message"), SAID.values(), ids=SAID.keys())
def test_a_condition_speaks_in_whole_sentences_with_numbers(statement: Statement, message: str) -> None:
    assert statement.message == message


def test_every_reason_has_a_meaning_and_a_sentence() -> None:
    assert set(MEANINGS) == set(Reason) == {statement.reason for statement, _ in SAID.values()}


def test_every_condition_can_be_said_to_be_so() -> None:
    assert {kind for kind, status, _ in MEANINGS.values() if status == "True"} == set(ConditionType)


def test_the_time_of_a_condition_moves_only_when_its_status_flips() -> None:
    first = stated((), sentences.starting(1, wanted=2), generation=1, now=NOW)
    again = stated(first, sentences.starting(2, wanted=2), generation=2, now=LATER)
    flipped = stated(again, sentences.training(1, size=2), generation=2, now=LATER)
    assert [condition.last_transition_time for (condition,) in (first, again, flipped)] == [NOW, NOW, LATER]
    assert again[0].message == "2 of 2 workers ready to train."
    assert again[0].observed_generation == 2


def test_a_new_condition_joins_the_others_in_their_order() -> None:
    conditions = stated((), sentences.spec_resolved(None), generation=1, now=NOW)
    conditions = stated(conditions, sentences.training(1, size=2), generation=1, now=NOW)
    conditions = stated(conditions, sentences.pod_refused("no quota."), generation=1, now=LATER)
    assert [condition.type for condition in conditions] == [ConditionType.ACCEPTED, ConditionType.RUNNING]


def test_a_status_is_read_as_it_is_written() -> None:
    progress = Progress(step=3, last_update_time=NOW, metrics=(Figure(name="loss", value="nan"),))
    conditions = stated((), sentences.training(1, size=2), generation=1, now=NOW)
    status = TrainingJobStatus(phase="Running", conditions=conditions, progress=progress)
    written = status.manifest()
    assert written["progress"]["metrics"] == [{"name": "loss", "value": "nan"}]
    assert read(TrainingJobStatus, written) == status


def _condition(kind: str, status: str = "True") -> Manifest:
    time = NOW.isoformat()
    return {"type": kind, "status": status, "lastTransitionTime": time, "reason": "Test", "message": "It is so."}


WORLD = {
    "number": 3,
    "size": 2,
    "startTime": NOW.isoformat(),
    "members": [{"worker": 0, "podUID": "a"}, {"worker": 1, "podUID": "b"}],
}
NEWER: dict[str, tuple[Manifest, Manifest]] = {
    "a field": ({"weather": "fine", "world": {**WORLD, "zone": "a"}}, {"world": WORLD}),
    "a phase": ({"phase": "Queued", "reason": "NoQuota"}, {"reason": "NoQuota"}),
    "a condition": (
        {"conditions": [_condition("QuotaReserved"), _condition("Complete")]},
        {"conditions": [_condition("Complete")]},
    ),
    "the tier from which a world resumed": (
        {"world": {**WORLD, "resumedFrom": {"step": 7, "tier": "Peer"}}},
        {"world": WORLD},
    ),
    "a field in an entry of a list": (
        {"conditions": [{**_condition("Complete"), "severity": "Info"}]},
        {"conditions": [_condition("Complete")]},
    ),
}


@pytest.mark.parametrize(("newer", "known"), NEWER.values(), ids=NEWER.keys())
def test_what_a_newer_operator_wrote_is_passed_over(newer: Manifest, known: Manifest) -> None:
    assert read(TrainingJobStatus, newer) == read(TrainingJobStatus, known)
    job = {**a_job().manifest, "status": newer}
    assert read(TrainingJob, job).status == read(TrainingJobStatus, known)


def test_what_nobody_knows_in_a_spec_is_refused_all_the_same() -> None:
    job = {**a_job().setting("spec.weather", "fine").manifest, "status": {"weather": "fine"}}
    with pytest.raises(Unreadable) as refused:
        read(TrainingJob, job)
    assert [path for path, _ in refused.value.problems] == [("spec", "weather")]


@pytest.mark.parametrize("unknown", [{"phase": "Queued"}, {"weather": "fine"}], ids=["a word", "a field"])
def test_what_nobody_knows_is_never_written(unknown: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingJobStatus(**unknown)


WRONG_WORLDS: dict[str, tuple[Manifest, str]] = {
    "a size that the members do not have": ({"size": 3}, "size is 3 but there are 2 members"),
    "a worker twice": (
        {"members": [{"worker": 0, "podUID": "a"}, {"worker": 0, "podUID": "b"}]},
        "0 is in the list twice; keep one of the two",
    ),
    "a pod twice": (
        {"members": [{"worker": 0, "podUID": "a"}, {"worker": 1, "podUID": "a"}]},
        "a is in the list twice; keep one of the two",
    ),
    "a number beyond the last": ({"number": 2**31}, "world 2147483648 is beyond the last one, 2147483647"),
}


@pytest.mark.parametrize(("change", "sentence"), WRONG_WORLDS.values(), ids=WRONG_WORLDS.keys())
def test_a_world_is_what_its_members_make_it(change: Manifest, sentence: str) -> None:
    assert read(World, WORLD).size == 2
    with pytest.raises(Unreadable, match=sentence):
        read(World, {**WORLD, **change})


@pytest.mark.parametrize("number", [math.nan, math.inf, 1.5])
def test_no_fraction_and_so_no_nan_gets_into_a_status(number: Any) -> None:
    """JSON has no NaN: the API server would refuse the whole write and the job would lose its progress."""
    with pytest.raises(ValidationError, match="should be a valid integer"):
        Progress(step=number, last_update_time=NOW)
    with pytest.raises(ValidationError, match="should be a valid string"):
        Figure(name="loss", value=number)


def test_a_nan_in_a_manifest_is_refused_where_it_stands() -> None:
    with pytest.raises(Unreadable) as refused:
        read(TrainingJobStatus, {"progress": {"step": math.nan}})
    assert refused.value.problems == ((("progress", "step"), " is nan; write a finite number"),)


def test_a_condition_of_another_kind_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Unreadable) as refused:
        read(Condition, {**stated((), sentences.ended(), generation=1, now=NOW)[0].manifest(), "type": "Ready"})
    words = ' is "Ready"; use Accepted, Scheduled, Running, Suspended, Complete or Failed'
    assert refused.value.problems == ((("type",), words),)


def test_a_job_has_ended_when_one_of_two_conditions_says_so() -> None:
    running = TrainingJobStatus(conditions=stated((), sentences.training(1, size=2), generation=1, now=NOW))
    assert running.endings == ()
    done = stated(running.conditions, sentences.model_written("s3://a/b", steps=1), generation=1, now=NOW)
    assert [condition.type for condition in TrainingJobStatus(conditions=done).endings] == [ConditionType.COMPLETE]
    twice = stated(done, sentences.recipe_refused("No."), generation=1, now=NOW)
    with pytest.raises(ValidationError, match="a job ends once"):
        TrainingJobStatus(conditions=twice)
