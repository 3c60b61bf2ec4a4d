import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everstep_api.job import TrainingJobSpec
from everstep_api.layers import built_in_defaults, completed, layered
from everstep_api.resolve import SpecError, recipe_hash, resolve
from tests.builders import JobBuilder, Manifest, a_job

ENV_A = {"name": "A", "value": "job"}


def _resolved(job: JobBuilder, **profiles: Manifest) -> Manifest:
    return resolve(job.spec, profiles).spec.manifest()


def _problems(job: JobBuilder, **profiles: Manifest) -> tuple[str, ...]:
    with pytest.raises(SpecError) as refused:
        resolve(job.spec, profiles)
    return refused.value.problems


def _at(manifest: Manifest, path: str) -> Any:
    value: Any = manifest
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


LAYERS: dict[str, tuple[JobBuilder, Manifest, str, Any]] = {
    "a silent job takes the profile's value": (
        a_job(),
        {"checkpoint": {"everySteps": 50}},
        "checkpoint.everySteps",
        50,
    ),
    "the job's value wins over the profile's": (
        a_job().setting("spec.checkpoint.everySteps", 7),
        {"checkpoint": {"everySteps": 50}},
        "checkpoint.everySteps",
        7,
    ),
    "both silent, the built-in default stands": (a_job(), {}, "checkpoint.everySteps", 500),
    "maps merge": (
        a_job().setting("spec.workers.resources", {"limits": {"nvidia.com/gpu": 8}}),
        {"workers": {"resources": {"limits": {"memory": "64Gi", "nvidia.com/gpu": 1}}}},
        "workers.resources.limits",
        {"memory": "64Gi", "nvidia.com/gpu": 8},
    ),
    "named lists merge by name, in the profile's order": (
        a_job().setting("spec.workers.env", [{"name": "C", "value": "job"}, ENV_A]),
        {"workers": {"env": [{"name": "A", "value": "profile"}, {"name": "B", "value": "profile"}]}},
        "workers.env",
        [ENV_A, {"name": "B", "value": "profile"}, {"name": "C", "value": "job"}],
    ),
    "an entry of a named list is taken whole": (
        a_job().setting("spec.workers.env", [ENV_A]),
        {"workers": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}},
        "workers.env",
        [ENV_A],
    ),
    "a nameless list is replaced": (
        a_job().setting("spec.recipe.model.lora", {"targetModules": ["q_proj"]}),
        {"recipe": {"model": {"lora": {"targetModules": ["k_proj", "v_proj"]}}}},
        "recipe.model.lora.targetModules",
        ["q_proj"],
    ),
    "the job's duration replaces the profile's of another kind": (
        a_job().setting("spec.recipe.duration", {"steps": 100}),
        {"recipe": {"duration": {"epochs": 3}}},
        "recipe.duration",
        {"steps": 100},
    ),
    "the profile's warmup replaces the default of another kind": (
        a_job(),
        {"recipe": {"schedule": {"warmup": {"steps": 10}}}},
        "recipe.schedule.warmup",
        {"steps": 10},
    ),
    "the job's cache replaces the profile's of another kind": (
        a_job().setting("spec.workers.cache", {"emptyDir": {"sizeLimit": "1Gi"}}),
        {"workers": {"cache": {"hostPath": {"path": "/cache"}}}},
        "workers.cache",
        {"emptyDir": {"sizeLimit": "1Gi"}},
    ),
    "the job's cache completes the profile's of the same kind": (
        a_job().setting("spec.workers.cache", {"emptyDir": {"sizeLimit": "1Gi"}}),
        {"workers": {"cache": {"emptyDir": {"medium": "Memory"}}}},
        "workers.cache",
        {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ),
    "containers of a template merge like maps, their mounts by path": (
        a_job().setting(
            "spec.workers.template.spec.containers",
            [{"name": "trainer", "volumeMounts": [{"name": "d", "mountPath": "/b", "readOnly": True}]}],
        ),
        {
            "workers": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "trainer",
                                "securityContext": {"runAsUser": 7},
                                "volumeMounts": [
                                    {"name": "d", "mountPath": "/a"},
                                    {"name": "d", "mountPath": "/b"},
                                ],
                            }
                        ]
                    }
                }
            }
        },
        "workers.template.spec.containers",
        [
            {
                "name": "trainer",
                "securityContext": {"runAsUser": 7},
                "volumeMounts": [
                    {"name": "d", "mountPath": "/a"},
                    {"name": "d", "mountPath": "/b", "readOnly": True},
                ],
            }
        ],
    ),
    "what is off when absent stays off": (a_job(), {}, "recipe.model.lora", None),
    "an empty block turns it on with its defaults": (
        a_job().setting("spec.recipe.model.lora", {}),
        {},
        "recipe.model.lora.rank",
        16,
    ),
    "what follows from model and data stays open": (a_job(), {}, "recipe.optimizer.learningRate", None),
}


@pytest.mark.parametrize(("job", "profile", "path", "value"), LAYERS.values(), ids=LAYERS.keys())
def test_layers_meet(job: JobBuilder, profile: Manifest, path: str, value: Any) -> None:
    assert _at(_resolved(job, default=profile), path) == value


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


def test_pinned_defaults_outlive_a_release_and_new_ones_join_them() -> None:
    pinned = {**built_in_defaults(), "checkpoint.everySteps": 123}
    del pinned["checkpoint.everySeconds"]
    spec = resolve(a_job().spec, {}, pinned).spec
    assert (spec.checkpoint.every_steps, spec.checkpoint.every_seconds) == (123, 600)


def test_the_defaults_are_those_of_the_models() -> None:
    """Filling in first, so that defaults can be pinned, must give what the models would have given."""
    spec = a_job().setting("spec.recipe.model.lora", {}).spec
    assert resolve(spec, {}).spec == TrainingJobSpec.model_validate_json(json.dumps(spec))


PROBLEMS: dict[str, tuple[JobBuilder, Manifest | None, tuple[str, ...]]] = {
    "a profile that is not there": (
        a_job().setting("spec.profile", "h100"),
        {},
        ("spec.profile is h100, which is no profile here; use default, or remove the line",),
    ),
    "any profile where there is none": (
        a_job().setting("spec.profile", "h100"),
        None,
        ("spec.profile is h100, which is no profile here; there are no profiles; remove the line",),
    ),
    "a mistake in the profile is the profile's": (
        a_job(),
        {"checkpoint": {"everyStep": 5}},
        ("profile default: checkpoint.everyStep is no field; did you mean everySteps?",),
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
        ("profile default: workers.env[1].valu is no field; did you mean value?",),
    ),
    "an entry that stands elsewhere in the job's own list": (
        a_job().setting("spec.workers.env", [{"name": "B", "value": 1}]),
        {"workers": {"env": [ENV_A]}},
        ("spec.workers.env[0].value is 1; write text (put numbers and yes/no into quotes)",),
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
    assert _problems(job, **profiles) == sentences


SAME_HASH = {
    "evaluation": a_job().setting("spec.recipe.evaluation.everySteps", 7),
    "logging": a_job().setting("spec.recipe.logEverySteps", 7),
    "sharding": a_job().setting("spec.recipe.sharding", "none"),
    "activation checkpointing": a_job().setting("spec.recipe.activationCheckpointing", "full"),
    "compile": a_job().setting("spec.recipe.compile", "never"),
    "a default written out": a_job().setting("spec.recipe.seed", 42),
    "a weight as a whole number": a_job().setting(
        "spec.recipe.data.train", [{"source": "s3://team/data/chat.jsonl", "weight": 1}]
    ),
    "the workers": a_job().workers(7),
}
OTHER_HASH = {
    "the seed": a_job().setting("spec.recipe.seed", 43),
    "the held-out part": a_job().setting("spec.recipe.data.validation", {"fraction": 0.1}),
    "the duration": a_job().setting("spec.recipe.duration", {"steps": 100}),
    "adapters": a_job().setting("spec.recipe.model.lora", {}),
    "the learning rate": a_job().setting("spec.recipe.optimizer.learningRate", 2e-4),
    "rows in a micro-batch": a_job().setting("spec.recipe.batch.microSize", 4),
}


@pytest.mark.parametrize("job", SAME_HASH.values(), ids=SAME_HASH.keys())
def test_what_leaves_the_weights_alone_leaves_the_hash_alone(job: JobBuilder) -> None:
    assert resolve(job.spec, {}).recipe_hash == resolve(a_job().spec, {}).recipe_hash


@pytest.mark.parametrize("job", OTHER_HASH.values(), ids=OTHER_HASH.keys())
def test_what_changes_the_weights_changes_the_hash(job: JobBuilder) -> None:
    assert resolve(job.spec, {}).recipe_hash != resolve(a_job().spec, {}).recipe_hash


def test_the_hash_of_a_recipe_stays_the_same_between_releases() -> None:
    """It is how a job that is applied again finds its checkpoints. If this fails, old jobs start afresh: say so."""
    assert (
        recipe_hash(resolve(a_job().spec, {}).spec.recipe)
        == "c716c11fdc2f6ef33775038421a7283c3e0f4aea5c30cc2805d5698bab5f5499"
    )


plain_values = st.one_of(st.booleans(), st.integers(0, 9), st.sampled_from(["x", "y"]))
json_values = st.recursive(
    plain_values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=2),
    max_leaves=5,
)
manifests = st.dictionaries(st.sampled_from("abcd"), json_values, max_size=3)


@given(manifests)
def test_a_layer_over_itself_or_over_nothing_is_itself(manifest: Manifest) -> None:
    assert layered(manifest, manifest, None) == manifest
    assert layered({}, manifest, None) == manifest
    assert layered(manifest, {}, None) == manifest


@given(manifests, manifests)
def test_a_layer_takes_no_name_away_and_its_plain_values_win(lower: Manifest, upper: Manifest) -> None:
    result = layered(lower, upper, None)
    assert set(result) == {*lower, *upper}
    for name, value in upper.items():
        if not isinstance(value, (dict, list)):
            assert result[name] == value


def test_completing_twice_is_completing_once() -> None:
    once = completed(a_job().spec, built_in_defaults())
    assert completed(once, built_in_defaults()) == once
