"""Counts the rows of a plan: those of whole epochs, of a number of steps, or of enough tokens."""

from collections.abc import Iterator
from itertools import count

import numpy as np

from everstep_api.recipe import Recipe
from everstep_trainer.data.order import Integers
from everstep_trainer.data.rows import Packer, Window
from everstep_trainer.derived import Batches
from everstep_trainer.plan import RowCounts


def count_training(packer: Packer, recipe: Recipe, cut: Batches) -> RowCounts:
    """The rows until the duration is over: those of whole epochs, of a number of steps, or of enough tokens."""
    duration = recipe.duration
    if duration.epochs is not None:
        return count_rows(packer, [list(packer.epoch(epoch)) for epoch in range(duration.epochs)])
    epochs: list[list[Window]] = []
    rows = tokens = 0
    enough = duration.steps * cut.size if duration.steps is not None else None
    for epoch in count():
        epochs.append([])
        for window in packer.epoch(epoch):
            epochs[-1].append(window)
            lengths = _tokens(packer, window)
            if enough is None and duration.tokens is not None and tokens + lengths.sum() >= duration.tokens:
                inside = int(np.searchsorted(np.cumsum(lengths), duration.tokens - tokens)) + 1
                enough = -(-(rows + inside) // cut.size) * cut.size
            rows += len(window.rows)
            tokens += int(lengths.sum())
            if enough is not None and rows >= enough:
                return count_rows(packer, epochs, rows=enough)
    raise AssertionError  # epochs have no end


def count_rows(packer: Packer, epochs: list[list[Window]], *, rows: int | None = None) -> RowCounts:
    """The rows of these windows, or so many of them."""
    windows = [window for epoch in epochs for window in epoch]
    kept = list(_first_rows(windows, rows))
    documents = [document for row in kept for document in row]
    return RowCounts(
        windows=tuple(tuple(len(window.rows) for window in epoch) for epoch in epochs),
        rows=len(kept),
        tokens=int(packer.corpus.lengths[documents].sum()),
        targets=int(packer.corpus.targets[documents].sum()),
    )


def _first_rows(windows: list[Window], most: int | None) -> Iterator[tuple[int, ...]]:
    rows = (row for window in windows for row in window.rows)
    return rows if most is None else (row for _, row in zip(range(most), rows, strict=False))


def _tokens(packer: Packer, window: Window) -> Integers:
    """Tokens of each row of the window."""
    return np.array([packer.corpus.lengths[list(row)].sum() for row in window.rows], dtype=np.int64)
