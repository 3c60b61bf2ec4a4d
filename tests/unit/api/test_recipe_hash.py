"""What the recipe hash covers and what it leaves out."""

import pytest

from everstep_api.resolve import recipe_hash, resolve
from tests.builders import JobBuilder, a_job

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
CONFIG = a_job().setting(
    "spec.recipe.model", {"config": {"model_type": "mistral"}, "tokenizer": {"source": "team/small"}}
)
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


def test_a_null_in_the_configuration_of_a_model_is_a_value() -> None:
    """For Mistral `sliding_window: null` means none, where absence means 4,096."""
    null = resolve(CONFIG.setting("spec.recipe.model.config.sliding_window", None).spec, {})
    assert null.spec.recipe.model.manifest()["config"] == {"model_type": "mistral", "sliding_window": None}
    assert null.recipe_hash != resolve(CONFIG.spec, {}).recipe_hash


def test_the_hash_of_a_recipe_stays_the_same_between_releases() -> None:
    """It is how a job that is applied again finds its checkpoints. If this fails, old jobs start afresh: say so."""
    assert (
        recipe_hash(resolve(a_job().spec, {}).spec.recipe)
        == "c716c11fdc2f6ef33775038421a7283c3e0f4aea5c30cc2805d5698bab5f5499"
    )
