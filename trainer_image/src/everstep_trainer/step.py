"""One step: micro-batches, backward, the step's reduction, then what all ranks decide by the same numbers.

A step is the same in a world of any size: the same rows, each micro-batch with its own random numbers, and a loss that
is a sum divided by the targets of the whole step, which the plan knows beforehand.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zlib import crc32

import torch
from torch import Tensor, nn

from everstep_trainer.errors import TrainerError
from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.reduction import NOTHING_HELD, Holding, Totals, reduce_totals
from everstep_trainer.parallel.world import World


class MicroBatch(Protocol):
    """Some rows of a step, which one rank computes at a time."""

    @property
    def index(self) -> int:
        """Its number within the step."""

    @property
    def rows(self) -> tuple[int, ...]:
        """Numbers of its rows in the plan."""

    @property
    def counts(self) -> bool:
        """False for one that is computed only so that all ranks issue the same collectives."""


LossOf = Callable[[nn.Module, Any], Tensor]
"""A task's loss: summed over the targets of a micro-batch, in fp32. What a micro-batch holds besides is between the
task and whoever deals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a rank has to do in a step."""

    step: int
    """From 1 on."""
    rows: tuple[int, ...]
    """Of the whole step."""
    targets: int
    """Of the whole step."""
    micro_batches: Sequence[MicroBatch]
    """This rank's own; as many on each rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a rank asks all others for with its step."""

    stop: bool = False
    stop_durably: bool = False
    save: bool = False
    uploading: bool = False
    holding: Holding = NOTHING_HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What all ranks know after a step."""

    loss: float
    """Mean over the targets."""
    gradient_norm: float
    rows_digest: int
    is_applied: bool
    """False when a number was none: the weights and their moments are as before."""
    stop: bool
    stop_durably: bool
    save: bool
    uploading: bool
    holding: Holding
    """Of all ranks together."""


class RowsLostError(TrainerError):
    """The rows that the ranks ate are not those of the plan; nothing was learnt from them."""


def take_step(
    model: nn.Module,
    optimizer: ShardedAdamW,
    loss_of: LossOf,
    work: Work,
    *,
    wish: Wish,
    world: World,
    seed: int,
    learning_rate: float,
    longest_gradient: float,
) -> Outcome:
    """Learn from the rows of one step, on all ranks or on none.

    Raises:
        RowsLostError: on all ranks, before any weight is changed.
    """
    summed_loss = _run_backward(model, loss_of, work, seed)
    gradients = optimizer.gradients()
    own = _totals(gradients, summed_loss, work, wish, world)
    all_ = reduce_totals(own, world)
    _check_rows(all_, work)
    norm = math.sqrt(all_.squared_gradient) if all_.squared_gradient >= 0 else math.nan
    is_finite = all_.not_finite == 0
    if is_finite:
        optimizer.update(learning_rate=learning_rate, norm=norm, longest=longest_gradient)
    optimizer.clear()
    return Outcome(
        loss=all_.loss / work.targets,
        gradient_norm=norm,
        rows_digest=int(all_.rows),
        is_applied=is_finite,
        stop=all_.stop + all_.stop_durably > 0,
        stop_durably=all_.stop_durably > 0,
        save=all_.save > 0,
        uploading=all_.uploading > 0,
        holding=all_.holding,
    )


def digest_of(rows: Iterable[int]) -> int:
    """A number for a set of rows, whatever their order and whoever ate them: the sum of their checksums."""
    return sum(crc32(row.to_bytes(8, "little")) for row in rows)


def seed_micro_batch(seed: int, step: int, index: int) -> None:
    """Let dropout depend on job, step and micro-batch alone: no state of a generator has to be saved."""
    mixed = crc32(f"{seed}/{step}/{index}".encode())
    torch.manual_seed(mixed | seed << 32)


def _run_backward(model: nn.Module, loss_of: LossOf, work: Work, seed: int) -> float:
    """Leave the gradient of the step in the weights; return the summed loss of this rank's micro-batches."""
    losses = []
    for micro_batch in work.micro_batches:
        seed_micro_batch(seed, work.step, micro_batch.index)
        loss = loss_of(model, micro_batch)
        share = 1.0 / work.targets if micro_batch.counts else 0.0
        (loss * share).backward()  # type: ignore[no-untyped-call] # torch's own
        if micro_batch.counts:
            losses.append(loss.detach())
    return sum(float(loss) for loss in losses)


def _totals(gradients: list[Tensor], summed_loss: float, work: Work, wish: Wish, world: World) -> Totals:
    squared = float(torch.nn.utils.get_total_norm(gradients)) ** 2 if gradients else 0.0
    eaten = [row for micro_batch in work.micro_batches if micro_batch.counts for row in micro_batch.rows]
    return Totals(
        squared_gradient=squared / world.replicas,
        loss=summed_loss,
        rows=digest_of(eaten),
        not_finite=not (math.isfinite(squared) and math.isfinite(summed_loss)),
        stop=wish.stop,
        stop_durably=wish.stop_durably,
        save=wish.save,
        uploading=wish.uploading,
        holding=wish.holding,
    )


def _check_rows(totals: Totals, work: Work) -> None:
    planned = digest_of(work.rows)
    if int(totals.rows) != planned:
        raise RowsLostError(
            f"The ranks ate other rows in step {work.step} than the plan has: digest {int(totals.rows)}, planned"
            f" {planned}. The data plan and the world disagree; nothing was learnt from them."
        )
