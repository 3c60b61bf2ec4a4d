"""What the recipe hash covers and what it leaves out."""

from typing import Annotated, Any

import pytest

from everstep_api.digests import recipe_hash
from everstep_api.model import Lora, Model
from everstep_api.reading import read
from everstep_api.recipe import Recipe
from everstep_api.resolve import resolve
from everstep_api.resource import Resource, absent, unhashed_at
from tests.builders import JobBuilder, a_job

SAME_HASH = {
    "evaluation": a_job().setting("spec.recipe.evaluation.everySteps", 7),
    "logging": a_job().setting("spec.recipe.logEverySteps", 7),
    "sharding": a_job().setting("spec.recipe.sharding", "none"),
    "activation checkpointing": a_job().setting("spec.recipe.activationCheckpointing", "full"),
    "compile": a_job().setting("spec.recipe.compile", "never"),
    "the same bits twice": a_job().setting("spec.recipe.deterministic", value=True),
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


class Ema(Resource):
    """A block that a later release brings, with a field that came later still."""

    decay: float = 0.999
    every_steps: Annotated[int, unhashed_at(1)] = 1


class LaterLora(Lora):
    dora: Annotated[bool, unhashed_at(value=False)] = False


class LaterModel(Model):
    lora: Annotated[LaterLora | None, absent("off")] = None
    freeze: Annotated[tuple[str, ...], unhashed_at([])] = ()


class LaterRecipe(Recipe):
    """A recipe as a later release has it."""

    model: LaterModel
    ema: Annotated[Ema, unhashed_at({"decay": 0.999})] = Ema()
    label_smoothing: Annotated[float, unhashed_at(0.0)] = 0.0


class Forgetful(LaterRecipe):
    """A later release that does not say what the absence of a field meant."""

    unmarked: int = 0


LORA = a_job().setting("spec.recipe.model.lora", {})
LATER: dict[str, dict[str, Any]] = {
    "a number": {"spec.recipe.labelSmoothing": 0.1},
    "a list": {"spec.recipe.model.freeze": ["embeddings"]},
    "a field of a block that is off by default": {"spec.recipe.model.lora.dora": True},
    "a new block": {"spec.recipe.ema.decay": 0.9},
    "a new field of a new block": {"spec.recipe.ema.everySteps": 2},
}


def _hash(job: JobBuilder, release: type[Recipe]) -> str:
    return recipe_hash(read(release, job.spec["recipe"]))


@pytest.mark.parametrize("job", [a_job(), LORA, CONFIG], ids=["the smallest", "with adapters", "from random weights"])
def test_a_release_with_more_fields_knows_the_recipes_that_do_not_use_them(job: JobBuilder) -> None:
    assert _hash(job, LaterRecipe) == _hash(job, Recipe)
    assert _hash(job, Forgetful) != _hash(job, Recipe)


@pytest.mark.parametrize("changes", LATER.values(), ids=LATER.keys())
def test_a_recipe_that_uses_a_new_field_has_a_hash_of_its_own(changes: dict[str, Any]) -> None:
    job = LORA
    for path, value in changes.items():
        job = job.setting(path, value)
    assert _hash(job, LaterRecipe) != _hash(LORA, LaterRecipe)


PINNED = {
    "the smallest": (a_job(), "55d2795348307d0352f2253efa56996e3ab070319151fad8c66029b700619db9"),
    "with adapters": (LORA, "a3cf31f6230ae7ab1115482ac58efd8dad33c6b51e2933de7252a05107c2831d"),
    "from random weights": (CONFIG, "6e7b828a14ee4fed9e39c9279e47f06cbdf3188fa2f8f931ce0c906864f75d45"),
    "held out in a source of its own": (
        a_job().setting("spec.recipe.data.validation", {"sources": [{"source": "s3://team/data/held-out.jsonl"}]}),
        "17516e2f5f4ec82b5abd4803e74a9790238511602e23895cb4e498dd1d74d153",
    ),
    "with a chat template": (
        a_job().setting("spec.recipe.model.chatTemplate", {"inline": "{{ messages }}"}),
        "377cc548ca3eeea7d54bfa6bfe22fa1ec6984a31ae6c9684e2fa4e628891fe7e",
    ),
}


@pytest.mark.parametrize(("job", "digest"), PINNED.values(), ids=PINNED.keys())
def test_the_hash_of_a_recipe_stays_the_same_between_releases(job: JobBuilder, digest: str) -> None:
    """By it a job that is applied again finds its checkpoints. If this fails, mark the new field: `unhashed_at`."""
    assert resolve(job.spec, {}).recipe_hash == digest
