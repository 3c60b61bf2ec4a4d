"""Values that follow from model, data and workers where the recipe is silent. The plan keeps them for all worlds."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transformers import PretrainedConfig

from everstep_api.recipe import Recipe
from everstep_trainer.errors import RefusedError

LONGEST_ROW = 2048
LARGEST_BATCH = 64
FEWEST_STEPS = 100
"""Of an epoch: smaller batches are taken until it has as many."""
ENOUGH_TOKENS = 16_384
"""In a micro-batch: a device has enough to do with them, and fewer micro-batches would keep the world from growing."""
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SHARE_FOR_ACTIVATIONS = 0.5
"""Of a rank's memory: weights, moments, gradients and snapshots have the other half."""
_WIDTHS = {"bf16": 2, "fp32": 4}

Recompute = Literal["selective", "full", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """What the optimizer needs to know."""

    learning_rate: float
    betas: tuple[float, ...]
    weight_decay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """How a step's rows are cut."""

    size: int
    micro_size: int


def hyperparameters(recipe: Recipe) -> Hyperparameters:
    """The optimizer's numbers: random weights bear, and need, larger steps and a decay."""
    written = recipe.optimizer
    is_random = recipe.model.config is not None
    usual = 3e-4 if is_random else 2e-4 if recipe.model.lora is not None else 2e-5
    return Hyperparameters(
        learning_rate=written.learning_rate if written.learning_rate is not None else usual,
        betas=written.betas if written.betas is not None else (0.9, 0.95 if is_random else 0.999),
        weight_decay=written.weight_decay if written.weight_decay is not None else (0.1 if is_random else 0.0),
    )


def row_length(recipe: Recipe, positions: int | None) -> int:
    """Tokens in a row.

    Raises:
        RefusedError: more than the model has positions.
    """
    written = recipe.data.max_length
    if written is not None and positions is not None and written > positions:
        raise RefusedError(
            f"recipe.data.maxLength is {written} but the model has {positions} positions; use {positions} or less."
        )
    return written if written is not None else min(LONGEST_ROW, positions or LONGEST_ROW)


def batches(recipe: Recipe, *, rows_in_epoch: int, ranks: int, rows_that_fit: int) -> Batches:
    """The rows of a step and of a micro-batch, so that each of `ranks` has a micro-batch.

    Raises:
        RefusedError: what is written makes fewer micro-batches than ranks.
    """
    written, micro = recipe.batch.size, recipe.batch.micro_size
    if written is None:
        unit = 1 if micro == "auto" else micro
        units = max(1, LARGEST_BATCH // unit)
        while rows_in_epoch < FEWEST_STEPS * units * unit and units // 2 >= ranks:
            units //= 2
        written = max(units, ranks) * unit
    micro_size = micro if micro != "auto" else _largest_share(written, most=min(written // ranks, rows_that_fit))
    if written // micro_size < ranks:
        raise RefusedError(
            f"recipe.batch.size {written} makes {written // micro_size} micro-batches of {micro_size} rows, too few for"
            f" {ranks} ranks; use {ranks * micro_size} or more, or a smaller microSize."
        )
    return Batches(size=written, micro_size=micro_size)


def _largest_share(rows: int, *, most: int) -> int:
    """The largest number up to `most` of which `rows` is a multiple."""
    return max(size for size in range(1, max(1, most) + 1) if rows % size == 0)


def recompute(
    recipe: Recipe, config: PretrainedConfig, *, rows: int, row_length: int, ranks_memory_bytes: int
) -> Recompute:
    """What the backward pass of a micro-batch of so many rows computes again: nothing, where memory suffices.

    Memory is plenty beside CPUs and arithmetic dear: with `selective` a step takes half as long again.
    """
    if recipe.activation_checkpointing is not None:
        return recipe.activation_checkpointing
    room = _SHARE_FOR_ACTIVATIONS * ranks_memory_bytes
    return "none" if rows * row_bytes(recipe, config, "none", row_length) <= room else "selective"


def rows_that_fit(
    recipe: Recipe, config: PretrainedConfig, what: Recompute, *, row_length: int, ranks_memory_bytes: int
) -> int:
    """How many rows one rank computes at a time, but no more than keep a device busy."""
    fitting = int(_SHARE_FOR_ACTIVATIONS * ranks_memory_bytes / row_bytes(recipe, config, what, row_length))
    return max(1, min(fitting, busy_rows(row_length)))


def busy_rows(row_length: int) -> int:
    """As many rows as give a device enough to do."""
    return max(1, ENOUGH_TOKENS // row_length)


def row_bytes(recipe: Recipe, config: PretrainedConfig, what: Recompute, row_length: int) -> float:
    """An estimate of what a backward pass keeps of each row.

    A block that recomputes selectively keeps its matrix products: about six times the hidden size and three times the
    inner one. What keeps everything needs about twice as much, what keeps inputs alone a tenth.
    """
    text = config.get_text_config()
    hidden = getattr(text, "hidden_size", 1024)
    inner = getattr(text, "intermediate_size", None) or 4 * hidden
    layers = getattr(text, "num_hidden_layers", 24)
    kept = {"none": 2.0, "selective": 1.0, "full": 0.1}[what]
    numbers = kept * layers * (6 * hidden + 3 * inner) + 4 * hidden
    return numbers * row_length * _WIDTHS[recipe.precision]


def memory_of_rank(*, ranks_per_worker: int, ranks: int) -> int:
    """Bytes that one rank may use: its share of the container's limit.

    Without a limit all ranks of the job may be on this machine, and it has to do for all of them.
    """
    limit = _MEMORY_LIMIT.read_text().strip() if _MEMORY_LIMIT.exists() else "max"
    if limit.isdecimal():
        return int(limit) // ranks_per_worker
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // ranks
