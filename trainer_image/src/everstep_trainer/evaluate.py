"""The held-out data, evaluated by all ranks together: exact counts, whatever the world."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from everstep_api.recipe import Metric
from everstep_trainer.parallel.shard import reshard
from everstep_trainer.parallel.world import World


class Sums(Protocol):
    """What a micro-batch adds to an evaluation."""

    @property
    def loss(self) -> Tensor:
        """Summed over the targets."""

    @property
    def tokens(self) -> Tensor:
        """Number of targets."""

    @property
    def correct(self) -> Tensor:
        """Number of targets that the model would have chosen."""


class Counted(Protocol):
    """A micro-batch, of which may be told not to count."""

    @property
    def counts(self) -> bool:
        """False for one that is computed only so that all ranks issue the same collectives."""


class _Totals(NamedTuple):
    loss: float = 0.0
    tokens: float = 0.0
    correct: float = 0.0


def evaluate(
    model: nn.Module,
    batches: Iterable[Counted],
    sums_of: Callable[[nn.Module, Any], Sums],
    *,
    world: World,
    metrics: Sequence[Metric],
) -> dict[str, float]:
    """The metrics over all targets of the held-out data, the same on all ranks; the model trains on afterwards.

    Every rank has as many batches. Without any target the metrics are not numbers.
    """
    model.eval()
    total = torch.zeros(len(_Totals._fields), dtype=torch.float64)
    for batch in batches:
        sums = sums_of(model, batch)
        if batch.counts:
            total += torch.stack([sums.loss.double(), sums.tokens.double(), sums.correct.double()]).cpu()
    reshard(model)
    model.train()
    summed = _Totals(*world.all_reduce(total).tolist())
    return {metric: _value(metric, summed) for metric in metrics}


def penalty(metric: Metric, value: float) -> float:
    """What is least for the best model: loss and perplexity as they are, accuracy reversed. No number is the worst."""
    if math.isnan(value):
        return math.inf
    return -value if metric == "tokenAccuracy" else value


def _value(metric: Metric, summed: _Totals) -> float:
    if summed.tokens == 0:
        return math.nan
    loss = summed.loss / summed.tokens
    match metric:
        case "loss":
            return loss
        case "perplexity":
            return math.exp(loss) if loss < _GREATEST_EXPONENT else math.inf
        case "tokenAccuracy":
            return summed.correct / summed.tokens


_GREATEST_EXPONENT = 700.0
"""Beyond it a double overflows."""
