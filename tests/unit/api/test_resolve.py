"""Which profile a job takes, and how a refusal names the file, the value and the remedy."""

import json
import math

import pytest

from everstep_api.resolve import SpecError, resolve
from everstep_api.sentences import spec_invalid
from tests.builders import JobBuilder, Manifest, a_job

ENV_A = {"name": "A", "value": "job"}
TEXT = [{"source": "s3://team/data/text.jsonl", "format": "text"}]
RULE = {"name": "data", "onExitCodes": {"operator": "In", "values": [42]}, "action": "FailJob"}


def test_a_job_takes_the_profile_it_names_and_the_status_can_say_which() -> None:
    profiles = {"default": {"checkpoint": {"everySteps": 1}}, "h100": {"checkpoint": {"everySteps": 2}}}
    named = resolve(a_job().setting("spec.profile", "h100").spec, profiles)
    assert named.spec.checkpoint.every_steps == 2
    assert named.profile is not None
    assert named.profile.name == "h100"
    unnamed = resolve(a_job().spec, profiles)
    assert unnamed.spec.checkpoint.every_steps == 1
    assert unnamed.profile is not None
    assert unnamed.profile.digest != named.profile.digest


def test_without_a_default_profile_a_job_takes_none() -> None:
    assert resolve(a_job().spec, {"h100": {}}).profile is None


def test_resolving_changes_neither_job_nor_profile() -> None:
    job, profile = (
        a_job().setting("spec.workers.env", [ENV_A]).spec,
        {"workers": {"env": [{"name": "B", "value": "b"}]}},
    )
    before = json.dumps([job, profile])
    resolve(job, {"default": profile})
    assert json.dumps([job, profile]) == before


PROBLEMS: dict[str, tuple[JobBuilder, Manifest | None, tuple[str, ...]]] = {
    "a profile that is not there": (
        a_job().setting("spec.profile", "h100"),
        {},
        ("spec.profile is h100, but there is no such profile; use default, or remove the line",),
    ),
    "any profile where there is none": (
        a_job().setting("spec.profile", "h100"),
        None,
        ("spec.profile is h100, but there is no such profile; remove the line",),
    ),
    "a mistake in the profile is the profile's": (
        a_job(),
        {"checkpoint": {"everyStep": 5}},
        ("profile default: checkpoint.everyStep is not a field; did you mean everySteps?",),
    ),
    "a job's own fields in a profile": (
        a_job(),
        {"workers": {"replicas": 3}, "storage": {"uri": "s3://team/all"}, "recipe": {"model": {"lora": {"rank": 8}}}},
        (
            "profile default: storage belongs to the job; remove it from the profile",
            "profile default: workers.replicas belongs to the job; remove it from the profile",
        ),
    ),
    "an entry that came from the profile": (
        a_job().setting("spec.workers.env", [ENV_A]),
        {"workers": {"env": [ENV_A, {"name": "B", "valu": "b"}]}},
        ("profile default: workers.env[1].valu is not a field; did you mean value?",),
    ),
    "an entry of the profile, whose field the job's entry has too": (
        a_job().setting("spec.workers.env", [ENV_A]),
        {"workers": {"env": [{"name": "B", "value": 1}]}},
        ("profile default: workers.env[0].value is 1; write text (put numbers and yes/no in quotes)",),
    ),
    "a value of both is the job's": (
        a_job().setting("spec.checkpoint.everySteps", 0),
        {"checkpoint": {"everySteps": 5}},
        ("spec.checkpoint.everySteps is 0; use 1 or more",),
    ),
    "a list is not called too short for the entries that were refused": (
        a_job().setting("spec.recipe.data.train", [{"source": 7}]),
        {},
        ("spec.recipe.data.train[0].source is 7; write text (put numbers and yes/no in quotes)",),
    ),
    "an entry that stands elsewhere in the job's own list": (
        a_job().setting("spec.workers.env", [{"name": "B", "value": 1}]),
        {"workers": {"env": [ENV_A]}},
        ("spec.workers.env[0].value is 1; write text (put numbers and yes/no in quotes)",),
    ),
    "two layers that do not fit together": (
        a_job().workers(2),
        {"workers": {"minReplicas": 4}},
        ("profile default: workers.minReplicas: minReplicas is 4 but replicas is 2; set replicas to 4 or more",),
    ),
    "a block that somebody forgot to fill": (
        a_job().setting("spec.recipe.model.lora", None),
        {},
        ("spec.recipe.model.lora is empty; write {} to take its defaults, or remove the line",),
    ),
    "a number that is none": (
        a_job().setting("spec.recipe.optimizer.learningRate", math.nan),
        {},
        ("spec.recipe.optimizer.learningRate is nan; write a finite number",),
    ),
    "a number that is none, in the profile and under the job's": (
        a_job().setting("spec.checkpoint.everySteps", 5),
        {"checkpoint": {"everySteps": math.nan}},
        ("profile default: checkpoint.everySteps is nan; write a finite number",),
    ),
    "a number that is none, in the profile alone": (
        a_job(),
        {"checkpoint": {"everySteps": math.nan}},
        ("profile default: checkpoint.everySteps is nan; write a finite number",),
    ),
    "a list in place of the profile's name": (
        a_job().setting("spec.profile", []),
        {},
        ("spec.profile is []; write text (put numbers and yes/no in quotes)",),
    ),
    "an entry of a named list that has no name": (
        a_job().setting("spec.workers.env", [7, {"name": "A", "value": 1}]),
        {},
        (
            "spec.workers.env[0] is 7; write a mapping",
            "spec.workers.env[1].value is 1; write text (put numbers and yes/no in quotes)",
        ),
    ),
    "a list in place of the name of a rule": (
        a_job().setting("spec.recovery.rules", [{**RULE, "name": []}]),
        {"recovery": {"rules": [RULE]}},
        ("spec.recovery.rules[0].name is []; write text (put numbers and yes/no in quotes)",),
    ),
    "a number that is none, in a list": (
        a_job().setting("spec.recipe.optimizer.betas", [0.9, math.inf]),
        {},
        ("spec.recipe.optimizer.betas[1] is inf; write a finite number",),
    ),
    "a field as Python would spell it": (
        a_job().setting("spec.checkpoint.every_steps", 5),
        {},
        ("spec.checkpoint.every_steps is not a field; did you mean everySteps?",),
    ),
    "a value that is too long to be shown": (
        a_job().setting("spec.checkpoint.everySteps", "x" * 100),
        {},
        (f'spec.checkpoint.everySteps is "{"x" * 79}…; write a whole number',),
    ),
    "several at once": (
        a_job().workers(0).setting("spec.recipe.sharding", "ful").setting("spec.recipe.seed", 0.5),
        {},
        (
            'spec.recipe.sharding is "ful"; use full, hybrid or none',
            "spec.recipe.seed is 0.5; write a whole number",
            "spec.workers.replicas is 0; use 1 or more",
        ),
    ),
}


@pytest.mark.parametrize(("job", "profile", "sentences"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_a_refusal_names_the_file_the_value_and_the_remedy(
    job: JobBuilder, profile: Manifest | None, sentences: tuple[str, ...]
) -> None:
    profiles = {} if profile is None else {"default": profile}
    with pytest.raises(SpecError) as refused:
        resolve(job.spec, profiles)
    assert refused.value.problems == sentences


LASTING: dict[str, tuple[JobBuilder, Manifest, bool]] = {
    "in the recipe": (
        a_job().setting("spec.recipe.data.lossOn", "assistant").setting("spec.recipe.data.train", TEXT),
        {},
        True,
    ),
    "in the name of the profile": (a_job().setting("spec.profile", "h100"), {}, True),
    "in the recipe of the profile": (a_job(), {"recipe": {"model": {"lora": {"rank": 0}}}}, False),
    "in what the job may change": (a_job().setting("spec.output.weights", "adapter"), {}, False),
}


@pytest.mark.parametrize(("job", "profile", "lasting"), LASTING.values(), ids=LASTING.keys())
def test_a_mistake_in_what_never_changes_asks_for_a_new_job(
    job: JobBuilder, profile: Manifest, *, lasting: bool
) -> None:
    """`resolve` finds it when the job exists already, and then no edit of the job can mend it."""
    with pytest.raises(SpecError) as refused:
        resolve(job.spec, {"default": profile})
    said = spec_invalid(refused.value.mistakes).message
    assert len(refused.value.mistakes) == 1
    assert said.endswith("then delete the job and apply it anew.") == lasting
    assert "delete" not in str(refused.value)
