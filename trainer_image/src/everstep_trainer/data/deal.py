"""Hands the rows of a step to the ranks: micro-batch k to rank k mod D, whatever the size D of the world.

Shapes: B rows in a micro-batch, L tokens in a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from everstep_trainer.data.rows import IGNORED, PlannedRows, Row, fill
from everstep_trainer.step import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """Rows that one rank computes at a time, always in the same shape; rows that are missing have no targets."""

    index: int
    """Its number within the step."""
    rows: tuple[int, ...]
    """Numbers of its rows in the plan."""
    tokens_BL: Tensor
    targets_BL: Tensor
    positions_BL: Tensor
    target_count: int
    counts: bool
    """False for one that is computed only so that all ranks issue the same collectives."""


class Dealer:
    """One rank's share of the planned rows."""

    def __init__(self, rows: PlannedRows, *, batch_size: int, micro_size: int, rank: int, size: int) -> None:
        self._rows = rows
        self._batch_size = batch_size
        self._micro_size = micro_size
        self._rank = rank
        self._size = size

    @property
    def most_ranks(self) -> int:
        """Micro-batches in a step: a rank more would never have one."""
        return self._batch_size // self._micro_size

    def step(self, step: int) -> Work:
        """What this rank does in the step, counted from 1; the last one of a plan may have fewer rows.

        The targets are those of the whole step. They come from the index, so no rank has to ask another.
        """
        rows = self._rows_of(step)
        return Work(
            step=step,
            rows=tuple(rows),
            targets=sum(self._rows.targets(row) for row in rows),
            micro_batches=self.micro_batches(step),
        )

    def micro_batches(self, step: int) -> list[MicroBatch]:
        """This rank's share of the step: as many on each rank."""
        return list(self._deal(self._rows_of(step), self.most_ranks))

    def tokens(self, step: int) -> int:
        """Tokens of the whole step, padding left out."""
        return sum(self._rows.tokens(row) for row in self._rows_of(step))

    def everything(self) -> Iterator[MicroBatch]:
        """This rank's share of all rows, dealt once: for an evaluation."""
        rows = range(self._rows.count)
        return self._deal(rows, -(-len(rows) // self._micro_size))

    def _rows_of(self, step: int) -> range:
        begin = (step - 1) * self._batch_size
        return range(begin, min(begin + self._batch_size, self._rows.count))

    def _deal(self, rows: range, micro_batches: int) -> Iterator[MicroBatch]:
        for turn in range(-(-micro_batches // self._size)):
            index = turn * self._size + self._rank
            own = rows[index * self._micro_size : (index + 1) * self._micro_size] if index < micro_batches else range(0)
            yield self._micro_batch(index, own)

    def _micro_batch(self, index: int, rows: range) -> MicroBatch:
        blank = fill([], self._rows.length)
        filled: list[Row] = [self._rows.row(row) for row in rows] + [blank] * (self._micro_size - len(rows))
        targets = np.stack([row.targets_L for row in filled])
        return MicroBatch(
            index=index,
            rows=tuple(rows),
            tokens_BL=torch.from_numpy(np.stack([row.tokens_L for row in filled])),
            targets_BL=torch.from_numpy(targets),
            positions_BL=torch.from_numpy(np.stack([row.positions_L for row in filled])),
            target_count=int((targets != IGNORED).sum()),
            counts=len(rows) > 0,
        )
