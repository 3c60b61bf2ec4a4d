"""The step's reduction: the one all-reduce by which all ranks know the same numbers and therefore do the same.

A short fp64 vector: 1 to 3 ms over Gloo. Digests are sums of 32-bit numbers, which fp64 holds exactly for two million
rows a step.
"""

from dataclasses import astuple, dataclass
from hashlib import sha256

import torch

from everstep_trainer.parallel.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How one rank, or all together, stand to the snapshots in memory."""

    settled: float = 0.0
    """Ranks whose last snapshot needs nothing more: it is held, or given up."""
    held: float = 0.0
    """Ranks whose last snapshot is held by all who shall hold it."""
    snapshot_seconds: float = 0.0
    """What a snapshot costs."""
    step_seconds: float = 0.0
    """What a step takes."""
    recorded_step: float = 0.0
    """Rank 0 alone: the last step whose line is in the storage's ledger."""


NOTHING_HELD = Holding()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What one rank adds to a step and, after the reduction, what all ranks together did."""

    squared_gradient: float
    """Sum of the squares of the gradient's local parts."""
    loss: float
    """Sum over the targets."""
    rows: float
    """Sum of the digests of the rows that were eaten."""
    not_finite: float
    """Ranks that met a number that is none."""
    stop: float
    """Ranks that were asked to stop after this step."""
    stop_durably: float
    """Ranks that were asked to stop once the state is in the storage."""
    save: float
    """Ranks by whose clock a durable checkpoint is due."""
    uploading: float
    """Ranks that are still busy with the checkpoint before."""
    holding: Holding


def reduce_totals(own: Totals, world: World) -> Totals:
    """The sums of the ranks' numbers, the same bits on each of them."""
    *numbers, holding = astuple(own)
    summed = world.all_reduce(torch.tensor([*numbers, *holding], dtype=torch.float64)).tolist()
    ours, theirs = summed[: len(numbers)], summed[len(numbers) :]
    return Totals(
        **dict(zip(Totals.__slots__, ours, strict=False)),
        holding=Holding(**dict(zip(Holding.__slots__, theirs, strict=True))),
    )


def differing_ranks(fact: bytes, world: World) -> int:
    """0 when all ranks hold the same fact, else a number of them that do not; the same answer on each.

    It costs two all-reduces, and is asked once, when a world begins.
    """
    own = int.from_bytes(sha256(fact).digest()[:_FACT_BYTES], "little")
    mean = world.all_reduce(torch.tensor([own], dtype=torch.float64)).item() / world.size
    return int(world.all_reduce(torch.tensor([mean != own], dtype=torch.float64)).item())


_FACT_BYTES = 5
"""40 bits: the sum over 2,048 ranks is exact in fp64."""
