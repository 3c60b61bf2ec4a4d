"""The plan of a job, `plan.json`: all that is decided once, by the first world, and read by all later ones.

Which files and objects are read and with which tags, which tokens came of them, which values were derived, how many
rows and steps there are. `planning.py` makes it.
"""

from dataclasses import dataclass

from everstep_api.wire.decode import decode, encode
from everstep_trainer.context import JobContext
from everstep_trainer.data.deal import Dealer
from everstep_trainer.data.opening import PlannedSource, open_packers
from everstep_trainer.data.rows import Packer, PlannedRows
from everstep_trainer.derived import Batches, Hyperparameters, Recompute
from everstep_trainer.model.assets import Sources

PLAN = "plan.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """The rows of a plan."""

    windows: tuple[tuple[int, ...], ...]
    """For each epoch the rows of each window, by which row n is found without packing what is before it."""
    rows: int
    tokens: int
    """Of the documents in the rows."""
    targets: int
    """Tokens that count in the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is decided once."""

    format: int
    recipe_hash: str
    files: Sources
    sha256: dict[str, str]
    """Of the model's and the tokenizer's files."""
    sources: tuple[PlannedSource, ...]
    row_length: int
    hyperparameters: Hyperparameters
    batches: Batches
    recompute: Recompute = "selective"
    """What the backward pass computes again. Earlier releases, whose plans do not say it, did so."""
    training: RowCounts
    validation: RowCounts | None = None
    """None where nothing is held out."""
    total_steps: int

    @property
    def most_ranks(self) -> int:
        """Micro-batches in a step: a rank more would never have one."""
        return self.batches.size // self.batches.micro_size

    def to_json(self) -> bytes:
        """The plan as it is stored; equal plans have equal bytes."""
        return encode(self)

    @classmethod
    def from_json(cls, text: bytes) -> "Plan":
        """The plan that was stored."""
        plan: Plan = decode(text, cls)
        return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealers:
    """This rank's share of the data."""

    training: Dealer
    validation: Dealer | None
    """None where nothing is held out."""


def open_dealers(plan: Plan, context: JobContext) -> Dealers:
    """This rank's share of the plan's rows, with the tokens in this worker's cache.

    Raises:
        StorageError: a token store is gone.
        DamagedError: a token store is not what its index says.
    """
    packers = open_packers(plan.sources, context.storage, context.cache, context.recipe, row_length=plan.row_length)

    def dealer(packer: Packer, counts: RowCounts) -> Dealer:
        return Dealer(
            PlannedRows(packer, counts.windows, count=counts.rows),
            batch_size=plan.batches.size,
            micro_size=plan.batches.micro_size,
            rank=context.world.rank,
            size=context.world.size,
        )

    validation = None
    if packers.validation is not None and plan.validation is not None:
        validation = dealer(packers.validation, plan.validation)
    return Dealers(training=dealer(packers.training, plan.training), validation=validation)
