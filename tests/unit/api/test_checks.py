"""Parts of a spec that do not fit together, and their nearest neighbours that do."""

import pytest

from everstep_api.resolve import SpecError, resolve
from tests.builders import JobBuilder, a_job

RANDOM = {"config": {"model_type": "llama", "max_position_embeddings": 512}, "tokenizer": {"source": "team/small"}}
TEXT = [{"source": "s3://team/data/chat.jsonl"}, {"source": "s3://team/data/text.jsonl", "format": "text"}]
EIGHT_PROCESSES = a_job().workers(4).setting("spec.workers.processesPerWorker", 8)

MISFITS: dict[str, tuple[JobBuilder, str]] = {
    "adapters to be written where none are trained": (
        a_job().setting("spec.output.weights", "adapter"),
        "spec.output.weights is adapter but there are no adapters without recipe.model.lora; add lora or write merged",
    ),
    "random weights without a tokenizer": (
        a_job().setting("spec.recipe.model", {"config": {"model_type": "llama"}}),
        "spec.recipe.model.tokenizer is missing, but config comes without one; write tokenizer: {source: …}",
    ),
    "rows that are longer than the model can read": (
        a_job().setting("spec.recipe.model", RANDOM).setting("spec.recipe.data.maxLength", 1024),
        "spec.recipe.data.maxLength is 1024 but model.config.max_position_embeddings is 512; use 512 or less",
    ),
    "loss on the assistant of a text": (
        a_job().setting("spec.recipe.data.train", TEXT).setting("spec.recipe.data.lossOn", "assistant"),
        "spec.recipe.data.lossOn is assistant but train[1] is text, which has no assistant; write all, or remove it",
    ),
    "more ranks than micro-batches": (
        EIGHT_PROCESSES.setting("spec.recipe.batch", {"size": 64, "microSize": 4}),
        "spec.recipe.batch.size is 64, too few for 32 ranks with 4 rows each; use 128 or more",
    ),
    "more processes than devices": (
        EIGHT_PROCESSES.setting("spec.workers.resources.limits", {"nvidia.com/gpu": "4"}),
        "spec.workers.processesPerWorker is 8 but a worker has 4 of nvidia.com/gpu; use 4 or less, or auto",
    ),
}
FITS = {
    "adapters to be written where some are trained": (
        a_job().setting("spec.output.weights", "both").setting("spec.recipe.model.lora", {})
    ),
    "random weights with a tokenizer": a_job().setting("spec.recipe.model", RANDOM),
    "rows as long as the model can read": (
        a_job().setting("spec.recipe.model", RANDOM).setting("spec.recipe.data.maxLength", 512)
    ),
    "loss on all of a text": a_job().setting("spec.recipe.data.train", TEXT).setting("spec.recipe.data.lossOn", "all"),
    "a micro-batch for each rank": EIGHT_PROCESSES.setting("spec.recipe.batch", {"size": 128, "microSize": 4}),
    "a row for each rank": EIGHT_PROCESSES.setting("spec.recipe.batch", {"size": 32}),
    "a number of devices that is not written plainly": (
        EIGHT_PROCESSES.setting("spec.workers.resources.limits", {"nvidia.com/gpu": "1e1"})
    ),
    "a device for each process": EIGHT_PROCESSES.setting("spec.workers.resources.limits", {"nvidia.com/gpu": 8}),
}


@pytest.mark.parametrize(("job", "sentence"), MISFITS.values(), ids=MISFITS.keys())
def test_parts_that_do_not_fit_are_refused_with_both_values(job: JobBuilder, sentence: str) -> None:
    with pytest.raises(SpecError) as refused:
        resolve(job.spec, {})
    assert refused.value.problems == (sentence,)


@pytest.mark.parametrize("job", FITS.values(), ids=FITS.keys())
def test_parts_that_just_fit_are_taken(job: JobBuilder) -> None:
    assert resolve(job.spec, {}).spec.storage.uri == "s3://team/runs"


def test_a_part_may_come_from_the_profile() -> None:
    job = a_job().setting("spec.output.weights", "adapter")
    assert (
        resolve(job.spec, {"default": {"recipe": {"model": {"lora": {"rank": 8}}}}}).spec.recipe.model.lora is not None
    )
