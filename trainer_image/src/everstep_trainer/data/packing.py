"""Which documents share a row: best fit, in windows that are packed each for itself."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Literal

import numpy as np

from everstep_trainer.data.order import Permutation

WINDOW = 4096
"""Documents that are packed together. Best fit fills rows to over 99 % from a few hundred short documents on, and a
window of this size is packed in 10 to 20 ms, which is what it costs to find a row."""

Packing = Literal["best-fit", "none"]


def pack(lengths: Sequence[int], *, row_length: int, packing: Packing, key: tuple[int | str, ...]) -> list[list[int]]:
    """Rows as lists of positions in `lengths`; each position is in exactly one row and no row exceeds `row_length`.

    Each length is from 1 to `row_length`. In a row documents keep their order. Rows are shuffled by the key: best fit
    makes those of the longest documents first, and steps of long documents alone would come before all others.
    """
    if packing == "none":
        return [[position] for position in range(len(lengths))]
    rows = _best_fit_decreasing(lengths, row_length)
    order = Permutation(len(rows), *key, "rows").of(np.arange(len(rows), dtype=np.int64))
    return [sorted(rows[place]) for place in order]


def _best_fit_decreasing(lengths: Sequence[int], row_length: int) -> list[list[int]]:
    """Longest first, each into the fullest row that has room for it (Johnson 1973)."""
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (room, row) of the rows that have some, sorted
    for position in sorted(range(len(lengths)), key=lambda position: (-lengths[position], position)):
        length = lengths[position]
        place = bisect_left(free, (length, 0))
        if place < len(free):
            room, row = free.pop(place)
        else:
            room, row = row_length, len(rows)
            rows.append([])
        rows[row].append(position)
        if room > length:
            insort(free, (room - length, row))
    return rows
