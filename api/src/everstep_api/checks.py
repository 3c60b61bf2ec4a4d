"""What a resolved spec alone can tell: how the parts fit that job and profile brought together.

CEL sees the job without its profile, so it cannot miss what a profile may bring. The operator makes these checks before
it makes pods, the command line before it starts anything. What needs the model's files or the data is checked when the
job plans its steps.
"""

from collections.abc import Callable, Iterator

from everstep_api.job import TrainingJobSpec
from everstep_api.problems import Problem


def problems_across(spec: TrainingJobSpec) -> list[Problem]:
    """Everything that does not fit together, each with the values and what to change."""
    return [problem for check in _CHECKS for problem in check(spec)]


def _adapters_need_lora(spec: TrainingJobSpec) -> Iterator[Problem]:
    if spec.output.weights != "merged" and spec.recipe.model.lora is None:
        yield (
            ("output", "weights"),
            f" is {spec.output.weights} but there are no adapters without recipe.model.lora; add lora or write merged",
        )


def _random_weights_need_a_tokenizer(spec: TrainingJobSpec) -> Iterator[Problem]:
    model = spec.recipe.model
    if model.config is not None and model.tokenizer is None:
        yield (
            ("recipe", "model", "tokenizer"),
            " is missing, but config comes without one; write tokenizer: {source: …}",
        )


def _rows_fit_the_model(spec: TrainingJobSpec) -> Iterator[Problem]:
    config, length = spec.recipe.model.config, spec.recipe.data.max_length
    positions = config.max_position_embeddings if config is not None else None
    if length is not None and positions is not None and length > positions:
        yield (
            ("recipe", "data", "maxLength"),
            f" is {length} but model.config.max_position_embeddings is {positions}; use {positions} or less",
        )


def _assistants_speak_in_chats(spec: TrainingJobSpec) -> Iterator[Problem]:
    if spec.recipe.data.loss_on != "assistant":
        return
    for index, source in enumerate(spec.recipe.data.train):
        if source.format == "text":
            yield (
                ("recipe", "data", "lossOn"),
                f" is assistant but train[{index}] is text, which has no assistant; write all, or remove it",
            )


def _each_rank_has_rows(spec: TrainingJobSpec) -> Iterator[Problem]:
    processes, batch = spec.workers.processes_per_worker, spec.recipe.batch
    if processes == "auto" or batch.size is None:
        return
    ranks = spec.workers.replicas * processes
    rows = 1 if batch.micro_size == "auto" else batch.micro_size
    if batch.size // rows < ranks:
        yield (
            ("recipe", "batch", "size"),
            f" is {batch.size}, too few for {ranks} ranks with {rows} rows each; use {ranks * rows} or more",
        )


def _each_process_has_a_device(spec: TrainingJobSpec) -> Iterator[Problem]:
    processes = spec.workers.processes_per_worker
    devices = spec.workers.resources.limits.get("nvidia.com/gpu")
    if processes == "auto" or devices is None or not str(devices).isdigit():
        return
    if processes > int(devices):
        yield (
            ("workers", "processesPerWorker"),
            f" is {processes} but a worker has {devices} of nvidia.com/gpu; use {devices} or less, or auto",
        )


_CHECKS: tuple[Callable[[TrainingJobSpec], Iterator[Problem]], ...] = (
    _adapters_need_lora,
    _random_weights_need_a_tokenizer,
    _rows_fit_the_model,
    _assistants_speak_in_chats,
    _each_rank_has_rows,
    _each_process_has_a_device,
)
