"""A step in a world of any size is the step of a plain loop."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.shard import shard
from everstep_trainer.parallel.world import Sharding, World
from everstep_trainer.step import MicroBatch, Outcome, RowsLostError, Wish, Work, take_step
from tests.unit.parallel.toys import a_llama, a_work, loss_of, plain_loop
from tests.unit.parallel.worlds import run_world

STEPS = 20
RATE = 3e-3
DECAY = 0.1


def a_trained_world(world: World) -> tuple[list[float], list[float], dict[str, Any]]:
    """Losses, gradient norms, and whole weights after 20 steps in this world."""
    model, optimizer = spread(world)
    outcomes = [step(model, optimizer, world, number) for number in range(1, STEPS + 1)]
    weights = ((name, cast("DTensor", weight)) for name, weight in model.named_parameters())
    whole = {name: weight.full_tensor().detach().numpy() for name, weight in weights}
    return [outcome.loss for outcome in outcomes], [outcome.gradient_norm for outcome in outcomes], whole


def spread(world: World) -> tuple[nn.Module, ShardedAdamW]:
    model = a_llama()
    shard(model, world, precision="fp32")
    return model, ShardedAdamW(model, betas=(0.9, 0.95), weight_decay=DECAY)


def step(model: nn.Module, optimizer: ShardedAdamW, world: World, number: int, **changed: Any) -> Outcome:
    settings: dict[str, Any] = {
        "wish": Wish(),
        "world": world,
        "seed": 0,
        "learning_rate": RATE,
        "longest_gradient": 1.0,
        "loss_of": loss_of,
        "work": a_work(number, rank=world.rank, size=world.size),
    }
    return take_step(model, optimizer, **(settings | changed))


@pytest.mark.parametrize(
    ("size", "sharding", "per_worker"),
    [
        pytest.param(1, "full", 1, id="one rank"),
        pytest.param(2, "full", 1, id="two ranks"),
        pytest.param(3, "full", 1, id="three ranks, some of which run ignored micro-batches"),
        pytest.param(2, "none", 1, id="two ranks with all weights each"),
        pytest.param(4, "hybrid", 2, id="two workers of two ranks that share the weights"),
    ],
)
def test_any_world_learns_what_a_plain_loop_learns(size: int, sharding: Sharding, per_worker: int) -> None:
    losses, norms, model = plain_loop(STEPS, learning_rate=RATE, weight_decay=DECAY)

    for our_losses, our_norms, whole in run_world(size, a_trained_world, sharding=sharding, per_worker=per_worker):
        np.testing.assert_allclose(our_losses, losses, rtol=1e-3)
        np.testing.assert_allclose(our_norms, norms, rtol=1e-3)  # AdamW itself would not notice a gradient's scale
        for name, weight in model.named_parameters():
            np.testing.assert_allclose(whole[name], weight.detach().numpy(), atol=1e-3)
    assert losses[-1] < losses[0]


def a_world_with_a_wish(world: World) -> Outcome:
    model, optimizer = spread(world)
    return step(model, optimizer, world, 1, wish=Wish(stop_durably=world.rank == 1, save=world.rank == 0))


def test_what_one_rank_wishes_all_ranks_know_after_the_same_step() -> None:
    first, second = run_world(2, a_world_with_a_wish)

    assert first == second
    assert first.stop
    assert first.stop_durably
    assert first.save
    assert not first.uploading


def a_loss_that_is_none(model: nn.Module, micro_batch: MicroBatch) -> Tensor:
    loss = loss_of(model, micro_batch)
    return loss * torch.inf if micro_batch.index == 1 else loss


def a_world_with_a_bad_step(world: World) -> tuple[Outcome, bool]:
    model, optimizer = spread(world)
    before = [part.clone() for _, part in optimizer.state()]
    outcome = step(model, optimizer, world, 1, loss_of=a_loss_that_is_none)
    same = all(torch.equal(old, part) for old, (_, part) in zip(before, optimizer.state(), strict=True))
    return outcome, same and optimizer.updates == 0


def test_a_number_that_is_none_on_one_rank_changes_no_weight_on_any() -> None:
    for outcome, is_same in run_world(2, a_world_with_a_bad_step):
        assert not outcome.is_applied
        assert is_same


def a_world_that_loses_a_row(world: World) -> None:
    model, optimizer = spread(world)
    work: Work = a_work(1, rank=world.rank, size=world.size)
    step(model, optimizer, world, 1, work=replace(work, rows=(*work.rows[1:], 99)))


def test_rows_that_are_not_those_of_the_plan_end_the_step() -> None:
    with pytest.raises(RowsLostError, match="other rows in step 1"):
        run_world(2, a_world_that_loses_a_row)
