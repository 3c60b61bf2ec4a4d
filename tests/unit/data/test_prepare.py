"""A token store is made once, by any number of ranks, and holds what the source says."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everstep_trainer.data.formats import OnTooLong
from everstep_trainer.data.prepare import Maker, Preparation, tokenizer_digest
from everstep_trainer.data.sources import resolve
from everstep_trainer.data.store import Index, TokenStore
from everstep_trainer.errors import DamagedError, RefusedError
from everstep_trainer.objects import Store
from tests.unit.data.tokenizers_made_here import CHATML, a_tokenizer

TOKENIZER = a_tokenizer()


def a_source(path: Path, records: Sequence[Any]) -> Path:
    """A file with these records."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def a_preparation(path: Path, **changes: Any) -> Preparation:
    """How the file is prepared: as text, unless told otherwise."""
    folder, objects = resolve(str(path))
    settings_: dict[str, Any] = {
        "format": "text",
        "field": "text",
        "loss_on": "all",
        "max_length": 16,
        "on_too_long": "truncate",
        "max_samples": None,
        "template": None,
        **changes,
    }
    return Preparation(folder=folder, objects=objects, tokenizer_digest=tokenizer_digest(TOKENIZER), **settings_)


def made(
    preparation: Preparation, folder: Path, *, part_bytes: int = 64, worlds: Sequence[int] = (1,)
) -> tuple[Index, TokenStore]:
    """The store, made by one world after the other, of which all but the last lost their last rank's work."""
    stores = Store.at(str(folder / "data"))
    for number, size in enumerate(worlds):
        for rank in range(size if number == len(worlds) - 1 else size - 1):
            Maker(preparation, stores, TOKENIZER, part_bytes=part_bytes).make(rank=rank, size=size)
    index = Maker(preparation, stores, TOKENIZER, part_bytes=part_bytes).index()
    return index, TokenStore.open(stores, preparation.digest, index, folder / "cache")


def texts(store: TokenStore) -> list[str]:
    """The documents as text."""
    return [str(TOKENIZER.decode(store.document(number).tokens)) for number in range(len(store.lengths))]


def test_a_text_becomes_its_tokens_and_an_end(tmp_path: Path) -> None:
    source = a_source(tmp_path / "a.jsonl", [{"text": "ab"}, {"text": "cde"}])
    index, store = made(a_preparation(source), tmp_path)
    assert texts(store) == ["ab<|endoftext|>", "cde<|endoftext|>"]
    assert store.lengths.tolist() == [3, 4]
    assert store.targets.tolist() == [2, 3]
    assert (index.counts.records, index.counts.tokens, index.counts.targets) == (2, 7, 5)


def test_a_chat_counts_the_assistants_tokens(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}
    source = a_source(tmp_path / "a.jsonl", [chat])
    preparation = a_preparation(
        source, format="chat", field="messages", loss_on="assistant", template=CHATML, max_length=64
    )
    _, store = made(preparation, tmp_path)
    document = store.document(0)
    assert TOKENIZER.decode(document.tokens[document.has_loss]) == "Yes<|im_end|>\n"
    assert store.targets.tolist() == [5]


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    worlds=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    on_too_long=st.sampled_from(["truncate", "split", "drop"]),
)
def test_what_is_kept_is_what_on_too_long_keeps_whatever_worlds_made_it(
    lengths: list[int], worlds: list[int], on_too_long: OnTooLong
) -> None:
    with TemporaryDirectory() as folder:
        _compare_kept(Path(folder), lengths, worlds, on_too_long)


def _compare_kept(folder: Path, lengths: list[int], worlds: list[int], on_too_long: OnTooLong) -> None:
    source = a_source(folder / "a.jsonl", [{"text": "x" * length} for length in lengths])
    preparation = a_preparation(source, on_too_long=on_too_long)
    whole = [length + 1 for length in lengths]  # with the end
    kept = {
        "truncate": [min(length, 16) for length in whole],
        "split": [min(16, length - begin) for length in whole for begin in range(0, length, 16) if length - begin > 1],
        "drop": [length for length in whole if length <= 16],
    }[on_too_long]
    if not kept:
        with pytest.raises(RefusedError, match=f"has {len(lengths)} records, of which none can be trained on"):
            made(preparation, folder, worlds=worlds)
        return
    index, store = made(preparation, folder, worlds=worlds)
    assert store.lengths.tolist() == kept
    assert index.counts.too_long == (len(lengths) - len(kept) if on_too_long == "drop" else 0)
    assert index.counts.shortened == (sum(length > 16 for length in whole) if on_too_long == "truncate" else 0)


@pytest.mark.parametrize("worlds", [(1,), (3,), (2, 3)])
def test_a_store_has_the_same_bytes_whoever_made_it(tmp_path: Path, worlds: tuple[int, ...]) -> None:
    source = a_source(tmp_path / "a.jsonl", [{"text": f"text {number}"} for number in range(40)])
    preparation = a_preparation(source)
    one, _ = made(preparation, tmp_path / "one")
    other, _ = made(preparation, tmp_path / "other", worlds=worlds)
    assert len(one.parts) > 3
    assert one == other


def test_a_finished_store_is_never_made_again(tmp_path: Path) -> None:
    source = a_source(tmp_path / "a.jsonl", [{"text": "ab"}])
    preparation = a_preparation(source)
    index, _ = made(preparation, tmp_path)
    source.unlink()
    assert made(preparation, tmp_path)[0] == index


@pytest.mark.parametrize("worlds", [(1,), (4,)])
@pytest.mark.parametrize("most", [1, 7, 40, 100])
def test_max_samples_takes_records_from_the_beginning(tmp_path: Path, most: int, worlds: tuple[int, ...]) -> None:
    source = a_source(tmp_path / "a.jsonl", [{"text": f"{number:02}"} for number in range(40)])
    index, store = made(a_preparation(source, max_samples=most), tmp_path, worlds=worlds)
    assert [text[:2] for text in texts(store)] == [f"{number:02}" for number in range(min(40, most))]
    assert most >= 40 or len(index.parts) < 12


def test_max_samples_leaves_parts_behind_it_unread(tmp_path: Path) -> None:
    source = a_source(tmp_path / "a.jsonl", [*({"text": f"{number:02}"} for number in range(40)), "no record"])
    index, _ = made(a_preparation(source, max_samples=5), tmp_path)
    assert index.documents == 5


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        pytest.param({"txt": "b"}, r"Line 3 of .*a\.jsonl has no field 'text' \(its fields: 'txt'\)", id="no field"),
        pytest.param({"text": 5}, r"Line 3 of .* has 5 in 'text' where a text is expected", id="no text"),
        pytest.param([], r"Line 3 of .* is a JSON list", id="no object"),
    ],
)
@pytest.mark.parametrize("part_bytes", [8, 1000])
def test_a_malformed_record_is_refused_with_its_line(
    tmp_path: Path, record: object, sentence: str, part_bytes: int
) -> None:
    source = a_source(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "b"}, record, {"text": "c"}])
    with pytest.raises(RefusedError, match=sentence):
        made(a_preparation(source), tmp_path, part_bytes=part_bytes)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        pytest.param([], r"has \[\] in 'messages' where a list of messages is expected", id="none"),
        pytest.param([{"content": "a"}], r"has no role in messages\[0\]", id="no role"),
        pytest.param([{"role": "user", "content": None}], r"has null as content of messages\[0\]", id="no content"),
        pytest.param([{"role": "assistant", "content": "a"}], "begins with the assistant", id="no prompt"),
    ],
)
def test_a_malformed_chat_is_refused_with_its_line(tmp_path: Path, messages: object, sentence: str) -> None:
    source = a_source(tmp_path / "a.jsonl", [{"messages": messages}])
    preparation = a_preparation(source, format="chat", field="messages", loss_on="assistant", template=CHATML)
    with pytest.raises(RefusedError, match=f"Line 1 of .*{sentence}"):
        made(preparation, tmp_path)


def test_what_decides_the_tokens_decides_the_stores_name(tmp_path: Path) -> None:
    source = a_source(tmp_path / "a.jsonl", [{"text": "ab"}])
    preparations = [
        a_preparation(source),
        a_preparation(source, max_length=8),
        a_preparation(source, on_too_long="split"),
        a_preparation(source, max_samples=1),
        a_preparation(source, template=CHATML),
        a_preparation(a_source(tmp_path / "a.jsonl", [{"text": "abc"}])),
    ]
    assert len({preparation.digest for preparation in preparations}) == len(preparations)


def test_copies_of_a_document_have_one_fingerprint_and_others_have_another(tmp_path: Path) -> None:
    records = [{"text": "a", "id": 1}, {"id": 2, "text": "a"}, {"text": "b"}, {"text": "c" * 20}]
    _, store = made(a_preparation(a_source(tmp_path / "a.jsonl", records), on_too_long="split"), tmp_path)
    first, copy, other, *pieces = store.fingerprints.tolist()
    assert first == copy != other
    assert len(pieces) == 2
    assert pieces[0] == pieces[1]


def test_a_part_that_was_changed_is_not_opened(tmp_path: Path) -> None:
    preparation = a_preparation(a_source(tmp_path / "a.jsonl", [{"text": "ab"}]))
    index, _ = made(preparation, tmp_path)
    path = tmp_path / "data" / preparation.digest / index.parts[0].name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="has sha256"):
        TokenStore.open(Store.at(str(tmp_path / "data")), preparation.digest, index, tmp_path / "another-cache")


def test_a_large_vocabulary_keeps_its_tokens(tmp_path: Path) -> None:
    tokenizer = a_tokenizer()
    tokenizer.add_tokens([f"<{number}>" for number in range(70_000)])
    preparation = a_preparation(a_source(tmp_path / "a.jsonl", [{"text": "a<69999>"}]))
    stores = Store.at(str(tmp_path / "data"))
    maker = Maker(preparation, stores, tokenizer)
    maker.make(rank=0, size=1)
    store = TokenStore.open(stores, preparation.digest, maker.index(), tmp_path / "cache")
    assert store.document(0).tokens[1] == len(tokenizer) - 1
    assert store.document(0).tokens.dtype == np.int64
