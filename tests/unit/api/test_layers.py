"""Job over profile over built-in default, one rule of meeting after the other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everstep_api.job import TrainingJobSpec
from everstep_api.layers import built_in_defaults, completed, layered
from everstep_api.resolve import resolve
from tests.builders import JobBuilder, Manifest, a_job

ENV_A = {"name": "A", "value": "job"}


def _at(manifest: Manifest, path: str) -> Any:
    value: Any = manifest
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _rule(name: str, action: str) -> Manifest:
    return {"name": name, "onExitCodes": {"operator": "In", "values": [42]}, "action": action}


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
    "of rules of which the first counts, the job's come before the profile's": (
        a_job().setting("spec.recovery.rules", [_rule("mine", "Ignore"), _rule("data", "Count")]),
        {"recovery": {"rules": [_rule("data", "FailJob"), _rule("all", "FailJob")]}},
        "recovery.rules",
        [_rule("mine", "Ignore"), _rule("data", "Count"), _rule("all", "FailJob")],
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
    "init containers merge like containers, their ports and devices by number and path": (
        a_job().setting(
            "spec.workers.template.spec.initContainers",
            [{"name": "a", "ports": [{"containerPort": 2}], "volumeDevices": [{"name": "job", "devicePath": "/d"}]}],
        ),
        {
            "workers": {
                "template": {
                    "spec": {
                        "initContainers": [
                            {
                                "name": "a",
                                "image": "a:1",
                                "ports": [{"containerPort": 1}],
                                "volumeDevices": [{"name": "profile", "devicePath": "/d"}],
                            }
                        ]
                    }
                }
            }
        },
        "workers.template.spec.initContainers",
        [
            {
                "name": "a",
                "image": "a:1",
                "ports": [{"containerPort": 1}, {"containerPort": 2}],
                "volumeDevices": [{"name": "job", "devicePath": "/d"}],
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
    assert _at(resolve(job.spec, {"default": profile}).spec.manifest(), path) == value


def test_pinned_defaults_outlive_a_release_and_new_ones_join_them() -> None:
    pinned = {**built_in_defaults(), "checkpoint.everySteps": 123, "recipe.data.train[].weight": 0.5}
    del pinned["checkpoint.everySeconds"]
    spec = resolve(a_job().spec, {}, pinned).spec
    assert (spec.checkpoint.every_steps, spec.checkpoint.every_seconds) == (123, 600)
    assert spec.recipe.data.train[0].weight == 0.5


def test_the_defaults_are_those_of_the_models() -> None:
    """Filling in first, so that defaults can be pinned, must give what the models would have given."""
    spec = a_job().setting("spec.recipe.model.lora", {}).spec
    assert resolve(spec, {}).spec == TrainingJobSpec.model_validate_json(json.dumps(spec))


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
