"""Row n of the plan: a pure function of the token stores, the seed, the epoch and the row's index.

Shapes: L tokens in a row.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

from everstep_trainer.data.formats import Document
from everstep_trainer.data.order import Integers, Order
from everstep_trainer.data.packing import WINDOW, Packing, pack
from everstep_trainer.data.store import TokenStore

IGNORED = -100
"""The target of a position that does not count in the loss, as torch's cross entropy has it."""
_KEPT_WINDOWS = 4
"""A step touches one or two windows; making one costs 10 to 20 ms."""


class Corpus:
    """Documents of several stores, some of each, under one sequence of numbers."""

    def __init__(self, stores: Sequence[tuple[TokenStore, Integers]]) -> None:
        self._stores = tuple(stores)
        self._first = [0, *accumulate(len(numbers) for _, numbers in stores)]
        self.lengths = _joined([store.lengths[numbers] for store, numbers in stores])
        """Tokens of each document."""
        self.targets = _joined([store.targets[numbers] for store, numbers in stores])
        """Tokens of each document that count in the loss."""

    def __len__(self) -> int:
        return self._first[-1]

    def document(self, number: int) -> Document:
        """One document."""
        place = bisect_right(self._first, number) - 1
        store, numbers = self._stores[place]
        return store.document(int(numbers[number - self._first[place]]))


def _joined(columns: list[Integers]) -> Integers:
    return np.concatenate([np.zeros(0, dtype=np.int64), *columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Rows that were packed together, each as the numbers of its documents."""

    epoch: int
    number: int
    rows: tuple[tuple[int, ...], ...]


class Packer:
    """Makes rows of a corpus, a window at a time; it knows no end, since one epoch follows another."""

    def __init__(self, corpus: Corpus, order: Order | None, *, seed: int, row_length: int, packing: Packing) -> None:
        """Without an order each epoch has the documents as the corpus has them."""
        self.corpus = corpus
        self.row_length = row_length
        self._order = order
        self._seed = seed
        self._packing = packing
        self.window: Callable[[int, int], Window] = lru_cache(_KEPT_WINDOWS)(self._window)
        """The window of this epoch and number; the latest few are kept."""

    def epoch(self, epoch: int) -> Iterator[Window]:
        """The windows of an epoch, in order."""
        size = len(self.corpus) if self._order is None else self._order.size(epoch)
        return (self._window(epoch, number) for number in range(-(-size // WINDOW)))

    def _window(self, epoch: int, number: int) -> Window:
        documents = self._documents(epoch, number * WINDOW)
        packed = pack(
            self.corpus.lengths[documents].tolist(),
            row_length=self.row_length,
            packing=self._packing,
            key=(self._seed, epoch, number),
        )
        numbers = documents.tolist()
        return Window(epoch=epoch, number=number, rows=tuple(tuple(numbers[place] for place in row) for row in packed))

    def _documents(self, epoch: int, begin: int) -> Integers:
        if self._order is None:
            return np.arange(begin, min(begin + WINDOW, len(self.corpus)), dtype=np.int64)
        return self._order.documents(epoch, begin, min(begin + WINDOW, self._order.size(epoch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as numbers; what is behind its last document has no targets."""

    tokens_L: Integers
    targets_L: Integers
    """The next token of the same document, where it counts in the loss; else `IGNORED`."""
    positions_L: Integers
    """Places within the document, from 0 on: where they begin anew a document ends. So does what fills the row."""


class PlannedRows:
    """The rows of a plan by number, over all its epochs."""

    def __init__(self, packer: Packer, window_rows: Sequence[Sequence[int]], *, count: int) -> None:
        """`window_rows` has for each epoch the number of rows in each window; the plan's last rows may be cut off."""
        self.count = count
        self._packer = packer
        self._windows = [(epoch, number) for epoch, rows in enumerate(window_rows) for number in range(len(rows))]
        self._first = [0, *accumulate(rows for epoch in window_rows for rows in epoch)]

    @property
    def length(self) -> int:
        """Tokens that a row has room for."""
        return self._packer.row_length

    def targets(self, row: int) -> int:
        """How many tokens of the row count in the loss."""
        return int(self._packer.corpus.targets[list(self.documents(row))].sum())

    def tokens(self, row: int) -> int:
        """How many tokens the row's documents have."""
        return int(self._packer.corpus.lengths[list(self.documents(row))].sum())

    def documents(self, row: int) -> tuple[int, ...]:
        """Which documents the row holds, in this order."""
        if not 0 <= row < self.count:
            raise IndexError(f"The plan has the rows 0 to {self.count - 1}, not {row}.")
        place = bisect_right(self._first, row) - 1
        return self._packer.window(*self._windows[place]).rows[row - self._first[place]]

    def row(self, row: int) -> Row:
        """The row as numbers."""
        return fill([self._packer.corpus.document(number) for number in self.documents(row)], self.length)


def fill(documents: Sequence[Document], length: int) -> Row:
    """The documents one behind the other in a row of this length."""
    tokens = np.zeros(length, dtype=np.int64)
    targets = np.full(length, IGNORED, dtype=np.int64)
    positions = np.zeros(length, dtype=np.int64)
    begin = 0
    for document in documents:
        end = begin + len(document.tokens)
        tokens[begin:end] = document.tokens
        targets[begin : end - 1] = np.where(document.has_loss[1:], document.tokens[1:], IGNORED)
        positions[begin:end] = np.arange(end - begin)
        begin = end
    positions[begin:] = np.arange(length - begin)
    return Row(tokens_L=tokens, targets_L=targets, positions_L=positions)
