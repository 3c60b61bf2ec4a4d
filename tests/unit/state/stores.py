"""Stores that misbehave, and states to save."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from everstep_api.wire.ranks import Saved
from everstep_trainer.objects import Store
from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.shard import shard
from everstep_trainer.parallel.world import World
from everstep_trainer.state.fence import Fence
from everstep_trainer.state.manifest import Counters
from everstep_trainer.state.save import Origin, Saver
from everstep_trainer.step import Wish, take_step
from tests.unit.parallel.toys import ROWS, a_llama, a_work, loss_of

RATE = 3e-3


def nothing() -> None:
    """Nothing to tidy."""


def a_saver(
    world: World,
    run: Store,
    folder: Path,
    *,
    committed: Callable[[Saved], None] | None = None,
    ranks: int | None = None,
) -> Saver:
    """A saver of this rank, behind the fence of its world."""
    origin = Origin(
        world=world.place.world,
        ranks=world.size // world.replicas if ranks is None else ranks,
        recipe_hash="r",
        plan_sha256="p",
        versions={"torch": "1"},
    )
    return Saver(
        run=run,
        fence=Fence(run, world.place.world),
        origin=origin,
        rank=world.rank,
        folder=folder,
        committed=committed or (lambda _: None),
        tidy=nothing,
    )


def a_spread_llama(world: World, seed: int = 0) -> tuple[nn.Module, ShardedAdamW]:
    """A model over the world, with its optimizer."""
    model = a_llama(seed)
    shard(model, world, precision="fp32")
    return model, ShardedAdamW(model, betas=(0.9, 0.95), weight_decay=0.1)


def train(model: nn.Module, optimizer: ShardedAdamW, world: World, steps: range) -> list[float]:
    """Losses of the steps."""
    outcomes = [
        take_step(
            model,
            optimizer,
            loss_of,
            a_work(step, rank=world.rank, size=world.size),
            wish=Wish(),
            world=world,
            seed=0,
            learning_rate=RATE,
            longest_gradient=1.0,
        )
        for step in steps
    ]
    return [outcome.loss for outcome in outcomes]


def counters_at(step: int) -> Counters:
    """What has been counted when no step was skipped."""
    return Counters(step=step, updates=step, next_row=step * ROWS)
