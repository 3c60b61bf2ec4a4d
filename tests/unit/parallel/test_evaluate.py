"""An evaluation has the same numbers in a world of any size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from everstep_api.recipe import Metric
from everstep_trainer.evaluate import evaluate, penalty
from everstep_trainer.parallel.world import World
from tests.unit.parallel.worlds import run_world

METRICS: Sequence[Metric] = ("loss", "perplexity", "tokenAccuracy")


class Sums(NamedTuple):
    loss: Tensor
    tokens: Tensor
    correct: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    tokens: int
    counts: bool = True


def sums_of(_: nn.Module, batch: Batch) -> Sums:
    return Sums(torch.tensor(2.0 * batch.tokens), torch.tensor(batch.tokens), torch.tensor(batch.tokens // 2))


def evaluated(world: World) -> tuple[dict[str, float], bool]:
    batches = [Batch(tokens=10), Batch(tokens=30), Batch(tokens=20)]
    own = batches[world.rank :: world.size]
    if world.size > 1 and world.rank > 0:
        own.append(Batch(tokens=99, counts=False))
    model = nn.Linear(1, 1)
    return evaluate(model, own, sums_of, world=world, metrics=METRICS), model.training


@pytest.mark.parametrize("size", [1, 2])
def test_sums_are_over_all_targets_and_ignored_batches_add_nothing(size: int) -> None:
    for metrics, is_training in run_world(size, evaluated):
        assert metrics == pytest.approx({"loss": 2.0, "perplexity": math.exp(2.0), "tokenAccuracy": 0.5})
        assert is_training


def test_without_a_target_there_are_no_numbers() -> None:
    metrics = evaluate(nn.Linear(1, 1), [], sums_of, world=World.alone(), metrics=METRICS)

    assert all(math.isnan(value) for value in metrics.values())


@pytest.mark.parametrize(
    ("metric", "better", "worse"),
    [("loss", 1.0, 2.0), ("tokenAccuracy", 0.9, 0.5), ("loss", 5.0, math.nan), ("perplexity", 5.0, math.inf)],
)
def test_the_better_model_has_the_smaller_penalty(metric: Metric, better: float, worse: float) -> None:
    assert penalty(metric, better) < penalty(metric, worse)
