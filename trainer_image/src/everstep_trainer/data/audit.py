"""The proof of `everstep audit`: each planned row was committed once, or is listed as skipped.

It reads what is in the storage alone: the plan, the ledger, and the worlds' beginnings, which say which lines count.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from everstep_api.wire.sync import StatePoint
from everstep_trainer.data.ledger import Line, read_ledger
from everstep_trainer.errors import StorageError
from everstep_trainer.objects import Store
from everstep_trainer.plan import PLAN, Plan
from everstep_trainer.state.fence import Fence, is_valid
from everstep_trainer.step import digest_of

Range = tuple[int, int]
"""Rows from the first number to below the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What became of the rows of a plan."""

    planned: int
    steps: int
    """Committed ones."""
    total_steps: int
    committed: int
    """Rows that were learnt from or skipped, each counted once."""
    lost: tuple[Range, ...]
    """Rows before the last committed one of which no line tells."""
    doubled: tuple[Range, ...]
    """Rows of which more than one line tells."""
    skipped: tuple[Range, ...]
    """Rows of which nothing was learnt because a number was none."""
    wrong: tuple[int, ...]
    """Steps whose ranks ate other rows than the line says, or that the plan has otherwise."""
    void: int
    """Lines of steps that a later world repeated."""

    @property
    def is_exact(self) -> bool:
        """Whether no row up to the last committed step was lost, doubled or another."""
        return not (self.lost or self.doubled or self.wrong)

    @property
    def is_complete(self) -> bool:
        """Whether the plan was followed to its end."""
        return self.is_exact and self.committed == self.planned

    def sentences(self) -> list[str]:
        """The findings for people."""
        progress = f"in {self.steps:,} of {self.total_steps:,} steps"
        found = [f"{self.committed:,} of {self.planned:,} planned rows are committed, {progress}."]
        if self.void:
            found.append(f"{self.void:,} steps were taken again by a later world; their first lines do not count.")
        for ranges, what in (
            (self.lost, "lost: no committed step has them"),
            (self.doubled, "doubled: several committed steps have them"),
            (self.skipped, "skipped: the loss or gradient of their step was no finite number"),
        ):
            if ranges:
                found.append(f"{sum(end - begin for begin, end in ranges):,} rows are {what} ({_shown(ranges)}).")
        if self.wrong:
            found.append(
                f"{len(self.wrong):,} steps ate other rows than planned (the first is step {self.wrong[0]:,})."
            )
        return found


def audit(run: Store) -> Audit:
    """Audit the job whose folder this is.

    Raises:
        StorageError: there is no plan.
        DamagedError: ledger or worlds cannot be read.
    """
    text = run.find(PLAN)
    if text is None:
        raise StorageError(
            f"{run.uri} has no {PLAN}; the job did not come to its first step, or this is not its folder."
        )
    worlds = Fence(run, 0).records()
    return judge(Plan.from_json(text), read_ledger(run), lambda point: is_valid(point, worlds))


def judge(plan: Plan, lines: Iterable[Line], is_valid_: Callable[[StatePoint], bool]) -> Audit:
    """Compare the lines that count with the plan."""
    everything = list(lines)
    counting = [line for line in everything if is_valid_(StatePoint(world=line.world, step=line.step))]
    spans = sorted((line.rows[0], line.rows[1]) for line in counting)
    lost, doubled, covered = _gaps(spans)
    return Audit(
        planned=plan.training.rows,
        steps=len({line.step for line in counting}),
        total_steps=plan.total_steps,
        committed=covered,
        lost=lost,
        doubled=doubled,
        skipped=tuple((line.rows[0], line.rows[1]) for line in counting if line.is_skipped),
        wrong=tuple(line.step for line in counting if _is_wrong(line, plan)),
        void=len(everything) - len(counting),
    )


def _gaps(spans: Iterable[Range]) -> tuple[tuple[Range, ...], tuple[Range, ...], int]:
    """What no span covers, what several do, and how many rows are covered; the spans are sorted."""
    lost, doubled = [], []
    end = covered = 0
    for begin, after in spans:
        if begin > end:
            lost.append((end, begin))
        if begin < end:
            doubled.append((begin, min(end, after)))
        covered += max(0, after - max(begin, end))
        end = max(end, after)
    return tuple(lost), tuple(doubled), covered


def _is_wrong(line: Line, plan: Plan) -> bool:
    begin = (line.step - 1) * plan.batches.size
    planned = range(begin, min(begin + plan.batches.size, plan.training.rows))
    return (line.rows[0], line.rows[1]) != (planned.start, planned.stop) or line.digest != digest_of(planned)


def _shown(ranges: tuple[Range, ...]) -> str:
    shown = ", ".join(f"{begin:,} to {end - 1:,}" for begin, end in ranges[:3])
    return shown if len(ranges) <= 3 else f"{shown} and {len(ranges) - 3} more"  # noqa: PLR2004 - enough for a sentence
