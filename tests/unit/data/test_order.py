"""Every document comes exactly as often as its source's weight says, in an order of its own for each epoch."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everstep_trainer.data.order import Order, Permutation, Share, is_held_out, weight_of

sizes = st.integers(min_value=1, max_value=3000)
seeds = st.integers(min_value=0, max_value=2**32 - 1)
shares = st.lists(
    st.builds(
        Share,
        documents=st.integers(min_value=1, max_value=300),
        weight=st.sampled_from([Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(2)]),
    ),
    min_size=1,
    max_size=4,
)


@given(size=sizes, seed=seeds)
def test_a_permutation_is_a_bijection(size: int, seed: int) -> None:
    images = Permutation(size, seed, "epoch", 0).of(np.arange(size))
    assert sorted(images.tolist()) == list(range(size))


@given(size=st.integers(min_value=20, max_value=3000), seed=seeds, epoch=st.integers(min_value=0, max_value=50))
def test_two_epochs_have_different_orders(size: int, seed: int, epoch: int) -> None:
    places = np.arange(size)
    first, second = (Permutation(size, seed, "epoch", number).of(places) for number in (epoch, epoch + 1))
    assert first.tolist() != second.tolist()


def test_the_order_of_a_key_never_changes() -> None:
    """These numbers are part of the format: a job that was begun with one release goes on with the next."""
    assert Permutation(10, 42, "epoch", 0).of(np.arange(10)).tolist() == [0, 5, 7, 4, 8, 2, 3, 1, 9, 6]


def test_a_permutation_leaves_no_trace_of_the_old_order() -> None:
    size = 100_000
    images = Permutation(size, 7).of(np.arange(size))
    assert abs(np.corrcoef(images, np.arange(size))[0, 1]) < 0.02
    assert abs(np.corrcoef(images[1:], images[:-1])[0, 1]) < 0.02


@given(shares=shares, seed=seeds)
def test_four_epochs_show_each_document_four_times_its_weight(shares: list[Share], seed: int) -> None:
    order = Order(shares, seed=seed)
    seen = Counter[int]()
    for epoch in range(4):
        seen.update(order.documents(epoch, 0, order.size(epoch)).tolist())
    first = 0
    for share in shares:
        assert {seen[document] for document in range(first, first + share.documents)} == {4 * share.weight}
        first += share.documents


@given(shares=shares, seed=seeds, cut=st.floats(min_value=0, max_value=1))
def test_a_part_of_an_epoch_is_the_same_as_in_the_whole(shares: list[Share], seed: int, cut: float) -> None:
    order = Order(shares, seed=seed)
    size = order.size(1)
    middle = int(cut * size)
    parts = [order.documents(1, 0, middle), order.documents(1, middle, size)]
    assert np.concatenate(parts).tolist() == order.documents(1, 0, size).tolist()


def test_a_weight_is_what_was_written() -> None:
    assert weight_of(0.1) == Fraction(1, 10)
    assert Share(documents=10, weight=weight_of(0.1)).begin(10) == 10


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.5])
def test_the_held_out_share_is_the_fraction(fraction: float) -> None:
    fingerprints = np.random.default_rng(0).integers(0, 2**64, size=100_000, dtype=np.uint64)
    assert is_held_out(fingerprints, fraction).mean() == pytest.approx(fraction, abs=0.005)


@given(fingerprints=st.lists(st.integers(min_value=0, max_value=2**64 - 1), min_size=1), more=st.integers(1, 50))
def test_a_document_stays_on_its_side_when_others_are_added(fingerprints: list[int], more: int) -> None:
    alone = is_held_out(np.array(fingerprints, dtype=np.uint64), 0.3)
    grown = is_held_out(np.array([*fingerprints, *range(more)], dtype=np.uint64), 0.3)
    assert grown[: len(fingerprints)].tolist() == alone.tolist()


def test_a_larger_fraction_keeps_what_was_held_out() -> None:
    fingerprints = np.random.default_rng(1).integers(0, 2**64, size=1000, dtype=np.uint64)
    small, large = is_held_out(fingerprints, 0.1), is_held_out(fingerprints, 0.2)
    assert (large | ~small).all()
