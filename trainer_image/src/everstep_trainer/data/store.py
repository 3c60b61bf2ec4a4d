"""A token store: the documents of one source as tokens, in parts, each one safetensors file.

    data/<digest>/<part>.safetensors   tokens, loss mask and a line for each document
    data/<digest>/index.json           which parts there are, with their digests: the store exists when this does

Ranks open it through the worker's cache, where the parts are mapped, not read.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from everstep_api.wire.decode import decode, encode
from everstep_trainer.cache import fetch, locked
from everstep_trainer.data.formats import Document
from everstep_trainer.objects import Store

INDEX = "index.json"
_LARGEST_SHORT_VOCABULARY = 2**16
_NUMPY_TYPES = {"BOOL": np.bool_, "U16": np.uint16, "U32": np.uint32, "I32": np.int32, "U64": np.uint64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the records of a part, a store or a job."""

    records: int = 0
    documents: int = 0
    tokens: int = 0
    targets: int = 0
    shortened: int = 0
    """Records that were longer than a row and lost their end."""
    too_long: int = 0
    """Records that were longer than a row and were left out."""
    without_targets: int = 0
    """Documents of which no token counts in the loss: empty ones, and chats without an answer; they are left out."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in Counts.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a store."""

    name: str
    size_bytes: int
    sha256: str
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All files of a store."""

    parts: tuple[Part, ...]
    documents: int
    """Documents that belong to the store: of a source with `maxSamples` the last part may hold more."""
    counts: Counts

    def to_json(self) -> bytes:
        """The index as it is stored; equal indexes have equal bytes."""
        return encode(self)

    @classmethod
    def from_json(cls, text: bytes) -> "Index":
        """The index that was stored."""
        index: Index = decode(text, cls)
        return index


class PartWriter:
    """Collects the documents of a part and makes its file."""

    def __init__(self, *, vocabulary: int) -> None:
        self._token_type = np.uint16 if vocabulary <= _LARGEST_SHORT_VOCABULARY else np.uint32
        self._documents: list[Document] = []
        self._records: list[int] = []
        self._fingerprints: list[int] = []
        self._counts = Counts()

    @property
    def records(self) -> int:
        """How many records were added."""
        return self._counts.records

    def add(self, documents: Sequence[Document], *, length: int, fingerprint: int) -> None:
        """Add what a record of `length` tokens became: itself, pieces, or nothing."""
        kept = [document for document in documents if document.targets > 0]
        tokens = sum(len(document.tokens) for document in documents)
        self._documents += kept
        self._records += [self._counts.records] * len(kept)
        self._fingerprints += [fingerprint] * len(kept)
        self._counts += Counts(
            records=1,
            documents=len(kept),
            tokens=sum(len(document.tokens) for document in kept),
            targets=sum(document.targets for document in kept),
            shortened=int(0 < tokens < length),
            too_long=int(not documents),
            without_targets=len(documents) - len(kept),
        )

    def to_file(self) -> bytes:
        """The part's file: the same bytes for the same documents."""
        nothing = np.zeros(0, dtype=np.int64)
        columns = {
            "tokens": np.concatenate([nothing, *(document.tokens for document in self._documents)]).astype(
                self._token_type
            ),
            "has_loss": np.concatenate(
                [nothing.astype(bool), *(document.has_loss for document in self._documents)], dtype=bool
            ),
            "lengths": np.array([len(document.tokens) for document in self._documents], dtype=np.int32),
            "targets": np.array([document.targets for document in self._documents], dtype=np.int32),
            "records": np.array(self._records, dtype=np.int32),
            "fingerprints": np.array(self._fingerprints, dtype=np.uint64),
        }
        # One entry: safetensors writes several in an order that changes from run to run.
        return save(columns, metadata={"counts": encode(self._counts).decode()})


def counts_of(file: bytes) -> Counts:
    """The counts that stand in the head of a part's file."""
    head, _ = _head(file)
    counts: Counts = decode(head["__metadata__"]["counts"], Counts)
    return counts


def records_of(file: bytes) -> npt.NDArray[np.int32]:
    """For each document of a part's file the number, within the part, of the record that it came from."""
    head, begin = _head(file)
    start, end = head["records"]["data_offsets"]
    return np.frombuffer(file[begin + start : begin + end], dtype=np.int32)


def _head(file: bytes) -> tuple[dict[str, Any], int]:
    """The head of a safetensors file, and where the tensors begin."""
    begin = 8 + int.from_bytes(file[:8], "little")
    return json.loads(file[8:begin]), begin


class _MappedPart:
    """A part's columns, mapped from its file."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            self._head: dict[str, Any] = json.loads(file.read(size))
        self._begin = 8 + size
        self._path = path

    def column(self, name: str) -> npt.NDArray[Any]:
        entry = self._head[name]
        dtype = np.dtype(_NUMPY_TYPES[entry["dtype"]])
        (length,) = entry["shape"]
        if length == 0:
            return np.zeros(0, dtype=dtype)  # nothing of length 0 can be mapped
        return np.memmap(self._path, dtype, "r", self._begin + entry["data_offsets"][0], (length,))


class TokenStore:
    """The documents of one source, by number."""

    def __init__(self, index: Index, folder: Path) -> None:
        self._index = index
        parts = [_MappedPart(folder / part.name) for part in index.parts]
        self._tokens = [part.column("tokens") for part in parts]
        self._has_loss = [part.column("has_loss") for part in parts]
        lengths = [np.asarray(part.column("lengths"), dtype=np.int64) for part in parts]
        self._first = np.concatenate([[0], np.cumsum([len(column) for column in lengths])]).astype(np.int64)
        self._begins = [np.cumsum(column) - column for column in lengths]
        self.lengths = np.concatenate([np.zeros(0, dtype=np.int64), *lengths])[: index.documents]
        """Tokens of each document."""
        targets = [np.asarray(part.column("targets"), dtype=np.int64) for part in parts]
        self.targets = np.concatenate([np.zeros(0, dtype=np.int64), *targets])[: index.documents]
        """Tokens of each document that count in the loss."""
        self._parts = parts

    @classmethod
    def open(cls, stores: Store, digest: str, index: Index, cache: Path) -> "TokenStore":
        """The store, with its parts in the cache folder; whoever comes first fetches them.

        Raises:
            DamagedError: a part is not what its index says.
        """
        folder = cache / "data" / digest
        with locked(cache / "locks" / digest):
            for part in index.parts:
                fetch(
                    stores.under(digest),
                    part.name,
                    folder / part.name,
                    size_bytes=part.size_bytes,
                    sha256=part.sha256,
                )
        return cls(index, folder)

    @cached_property
    def fingerprints(self) -> npt.NDArray[np.uint64]:
        """64 bits of each document's content; the pieces of one record share them."""
        columns = [np.asarray(part.column("fingerprints")) for part in self._parts]
        return np.concatenate([np.zeros(0, dtype=np.uint64), *columns])[: self._index.documents]

    def document(self, number: int) -> Document:
        """One document."""
        part = int(np.searchsorted(self._first, number, side="right")) - 1
        begin = int(self._begins[part][number - self._first[part]])
        end = begin + int(self.lengths[number])
        return Document(
            tokens=self._tokens[part][begin:end].astype(np.int64), has_loss=np.array(self._has_loss[part][begin:end])
        )
