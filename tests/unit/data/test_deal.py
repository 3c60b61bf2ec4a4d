"""Each planned row is dealt exactly once, whatever worlds follow one another, and documents stay apart in it."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everstep_trainer.data.deal import Dealer
from everstep_trainer.data.formats import Document
from everstep_trainer.data.order import Integers, Order, Share
from everstep_trainer.data.packing import Packing
from everstep_trainer.data.rows import IGNORED, Corpus, Packer, PlannedRows, fill

LENGTH = 12
lengths = st.lists(st.integers(2, LENGTH), min_size=1, max_size=60)


class DocumentsInMemory:
    """Stands for a token store: document n has n+1 in each of its tokens, and every second token counts."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths: Integers = np.array(lengths, dtype=np.int64)
        self.targets: Integers = np.array([self.document(n).targets for n in range(len(lengths))], dtype=np.int64)

    def document(self, number: int) -> Document:
        length = int(self.lengths[number])
        return Document(tokens=np.full(length, number + 1), has_loss=np.arange(length) % 2 == 1)


def planned(lengths: Sequence[int], *, epochs: int = 1, seed: int = 7, packing: Packing = "best-fit") -> PlannedRows:
    """The rows of these documents."""
    store = DocumentsInMemory(lengths)
    corpus = Corpus([(store, np.arange(len(lengths)))])  # type: ignore[list-item] # has what a corpus needs of a store
    order = Order([Share(documents=len(lengths), weight=Fraction(1))], seed=seed)
    packer = Packer(corpus, order, seed=seed, row_length=LENGTH, packing=packing)
    windows = [[len(window.rows) for window in packer.epoch(epoch)] for epoch in range(epochs)]
    return PlannedRows(packer, windows, count=sum(map(sum, windows)))


@given(
    lengths=lengths,
    epochs=st.integers(1, 3),
    batch=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    worlds=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=6),
    packing=st.sampled_from(["best-fit", "none"]),
)
def test_every_planned_row_is_dealt_once_over_any_sequence_of_worlds(
    lengths: list[int], epochs: int, batch: tuple[int, int], worlds: list[tuple[int, int]], packing: Packing
) -> None:
    rows = planned(lengths, epochs=epochs, packing=packing)
    micro_size, micro_batches = batch
    batch_size = micro_size * micro_batches
    steps = -(-rows.count // batch_size)
    sizes = [size for size, its_steps in worlds for _ in range(its_steps)]
    dealt = Counter[int]()
    documents = Counter[int]()
    for step in range(1, steps + 1):
        size = sizes[(step - 1) % len(sizes)]
        dealers = [
            Dealer(rows, batch_size=batch_size, micro_size=micro_size, rank=rank, size=size) for rank in range(size)
        ]
        works = [dealer.step(step) for dealer in dealers]
        shares = [dealer.micro_batches(step) for dealer in dealers]
        own = [row for share in shares for batch in share for row in batch.rows]
        assert sorted(own) == list(works[0].rows)
        assert len({(work.rows, work.targets) for work in works}) == 1
        assert len({len(work.micro_batches) for work in works}) == 1, "all ranks issue as many collectives"
        assert works[0].targets == sum(batch.target_count for share in shares for batch in share)
        dealt.update(own)
        documents.update(number for row in own for number in rows.documents(row))
    assert dealt == Counter(range(rows.count))
    assert documents == Counter(dict.fromkeys(range(len(lengths)), epochs))


@given(lengths=lengths, sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_a_micro_batch_is_the_same_in_any_world(lengths: list[int], sizes: tuple[int, int]) -> None:
    rows = planned(lengths)
    found = []
    for size in sizes:
        dealers = [Dealer(rows, batch_size=4, micro_size=2, rank=rank, size=size) for rank in range(size)]
        batches = [batch for dealer in dealers for batch in dealer.micro_batches(1) if batch.counts]
        found.append({batch.index: (batch.tokens_BL.tolist(), batch.targets_BL.tolist()) for batch in batches})
    assert found[0] == found[1]


@given(lengths=lengths, size=st.integers(1, 5), micro_size=st.integers(1, 3))
def test_an_evaluation_deals_everything_once(lengths: list[int], size: int, micro_size: int) -> None:
    rows = planned(lengths)
    dealers = [Dealer(rows, batch_size=4, micro_size=micro_size, rank=rank, size=size) for rank in range(size)]
    shares = [list(dealer.everything()) for dealer in dealers]
    assert sorted(row for share in shares for batch in share for row in batch.rows) == list(range(rows.count))
    assert len({len(share) for share in shares}) == 1


@given(lengths=lengths)
def test_rows_never_mix_documents(lengths: list[int]) -> None:
    """A target is a token of the document that its position belongs to, and positions begin anew with each."""
    rows = planned(lengths)
    for number in range(rows.count):
        row = rows.row(number)
        inside = row.targets_L != IGNORED
        assert (row.targets_L[inside] == row.tokens_L[inside]).all(), "each document has a token of its own"
        begins = np.flatnonzero(row.positions_L == 0)
        changes = np.flatnonzero(np.diff(row.tokens_L, prepend=-1))
        assert begins.tolist() == changes.tolist()
        used = sum(int(lengths[document]) for document in rows.documents(number))
        assert row.tokens_L[used:].tolist() == [0] * (LENGTH - used)
        assert inside.sum() == rows.targets(number)
        assert used == rows.tokens(number)


def test_a_row_is_a_function_of_the_seed_and_the_epoch() -> None:
    one, same, other = (planned([3, 4, 5] * 20, epochs=2, seed=seed) for seed in (1, 1, 2))
    rows = [[planned_.documents(row) for row in range(planned_.count)] for planned_ in (one, same, other)]
    assert rows[0] == rows[1] != rows[2]
    half = one.count // 2
    assert rows[0][:half] != rows[0][half:], "the second epoch has an order of its own"


def test_a_row_that_is_not_planned_is_an_error() -> None:
    rows = planned([3])
    with pytest.raises(IndexError, match="The plan has the rows 0 to 0, not 1"):
        rows.documents(1)


def test_the_first_token_of_a_document_is_never_a_target() -> None:
    row = fill([Document(tokens=np.array([5, 6, 7]), has_loss=np.array([True, True, False]))], 6)
    assert row.targets_L.tolist() == [6, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED]
    assert row.positions_L.tolist() == [0, 1, 2, 0, 1, 2]
