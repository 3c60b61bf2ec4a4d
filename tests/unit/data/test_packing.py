"""Rows hold each document of their window once, and are full."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from everstep_trainer.data.packing import WINDOW, pack

LONGEST = 64
lengths = st.lists(st.integers(min_value=1, max_value=LONGEST), max_size=300)
packings = st.sampled_from(["best-fit", "none"])


@given(lengths=lengths, packing=packings)
def test_each_document_is_in_exactly_one_row_and_no_row_is_too_long(lengths: list[int], packing: str) -> None:
    rows = pack(lengths, row_length=LONGEST, packing=packing, key=(1,))  # type: ignore[arg-type] # sampled from both
    assert sorted(position for row in rows for position in row) == list(range(len(lengths)))
    assert all(sum(lengths[position] for position in row) <= LONGEST for row in rows)


@given(lengths=lengths)
def test_no_two_rows_could_have_been_one(lengths: list[int]) -> None:
    rows = pack(lengths, row_length=LONGEST, packing="best-fit", key=(1,))
    fill = sorted(sum(lengths[position] for position in row) for row in rows)
    assert len(fill) < 2 or fill[0] + fill[1] > LONGEST


def test_without_packing_each_document_has_its_own_row() -> None:
    assert pack([3, 1, 2], row_length=8, packing="none", key=(1,)) == [[0], [1], [2]]


def test_rows_of_long_documents_do_not_come_first() -> None:
    lengths = np.random.default_rng(0).integers(1, LONGEST, size=WINDOW).tolist()
    rows = pack(lengths, row_length=LONGEST, packing="best-fit", key=(1,))
    longest = [max(lengths[position] for position in row) for row in rows]
    half = len(rows) // 2
    assert abs(np.mean(longest[:half]) - np.mean(longest[half:])) < 3


def test_a_window_of_short_documents_is_packed_almost_without_gaps() -> None:
    lengths = np.random.default_rng(0).integers(20, 600, size=WINDOW).tolist()
    rows = pack(lengths, row_length=2048, packing="best-fit", key=(1,))
    assert sum(lengths) / (len(rows) * 2048) > 0.99
