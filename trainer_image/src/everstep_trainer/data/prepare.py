"""Makes token stores, once: the ranks share the parts, and whoever sees them all writes the index.

Every object is created only where there is none. So it does not matter how many worlds worked on a store, where they
stopped, or whether two of them did so at once.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from everstep_api.data import Fields
from everstep_trainer.data.formats import Format, LossOn, OnTooLong, Reader, fingerprint, fit, reader_of
from everstep_trainer.data.masks import Chats, Tokenizer
from everstep_trainer.data.sources import PART_BYTES, SourceObject, Span, line_number, parse, read_lines, split
from everstep_trainer.data.store import INDEX, Counts, Index, Part, PartWriter, counts_of, records_of
from everstep_trainer.errors import MalformedRecordError, RefusedError
from everstep_trainer.objects import Store

FORMAT_VERSION = 1
"""Of the stores; another number makes all of them anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One source, and all that decides which tokens come of it."""

    folder: str
    objects: tuple[SourceObject, ...]
    format: Format
    field: str
    """Name of the field with the messages or the text."""
    loss_on: LossOn
    max_length: int
    on_too_long: OnTooLong
    tokenizer_digest: str
    max_samples: int | None = None
    template: str | None = None

    @property
    def digest(self) -> str:
        """The name of the store: the same for the same tokens, in every job."""
        content = json.dumps({"version": FORMAT_VERSION, **asdict(self)}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:32]


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """What the tokenizer does to a text, as a digest of its rules."""
    rules = f"{tokenizer.backend_tokenizer.to_str()}\n{tokenizer.eos_token_id}"
    return hashlib.sha256(rules.encode()).hexdigest()


class Maker:
    """Makes the parts of one source's store that are missing."""

    def __init__(
        self, preparation: Preparation, stores: Store, tokenizer: Tokenizer, *, part_bytes: int = PART_BYTES
    ) -> None:
        self._preparation = preparation
        self._parts = split(preparation.objects, part_bytes=part_bytes)
        self._store = stores.under(preparation.digest)
        self._source = Store.at(preparation.folder)
        self._vocabulary = len(tokenizer)
        chats = Chats(tokenizer, preparation.template) if preparation.template is not None else None
        fields = Fields(messages=preparation.field, text=preparation.field)
        self._read: Reader = reader_of(
            preparation.format, fields=fields, loss_on=preparation.loss_on, tokenizer=tokenizer, chats=chats
        )

    def make(self, *, rank: int, size: int) -> None:
        """Make this rank's share of the parts: after all ranks of a world have, none is missing.

        Of a source with `maxSamples` parts are made in order, and none behind those that hold enough.

        Raises:
            RefusedError: a record is malformed; the sentence has its line and says what to change.
        """
        if self.find_index() is not None:
            return
        present = self._present()
        for number, spans in enumerate(self._parts):
            name = _name(number)
            if number % size == rank and name not in present and not self._have_enough(number):
                self._store.put_if_absent(name, self._part(spans))

    def index(self) -> Index:
        """The index, written now unless somebody has: to be called once every rank has made its share.

        Raises:
            RefusedError: nothing of the source can be trained on.
        """
        found = self.find_index()
        if found is not None:
            return found
        index = self._indexed(self._made())
        if index.documents == 0:
            raise RefusedError(self._nothing(index.counts))
        self._store.put_if_absent(INDEX, index.to_json())
        return self.find_index() or index

    def find_index(self) -> Index | None:
        """The index, if the store is complete."""
        text = self._store.find(INDEX)
        return None if text is None else Index.from_json(text)

    def _part(self, spans: Sequence[Span]) -> bytes:
        """The file of a part. Records behind the source's `maxSamples` are not even looked at."""
        wanted = self._preparation
        writer = PartWriter(vocabulary=self._vocabulary)
        for span in spans:
            for line in read_lines(self._source, span):
                if wanted.max_samples is not None and writer.records >= wanted.max_samples:
                    return writer.to_file()
                try:
                    record = parse(line.content)
                    document = self._read(record)
                except MalformedRecordError as error:
                    number = line_number(self._source, span.found, line.offset)
                    raise RefusedError(f"Line {number} of {wanted.folder}/{span.found.name} {error}.") from error
                writer.add(
                    fit(document, wanted.max_length, wanted.on_too_long),
                    length=len(document.tokens),
                    fingerprint=fingerprint(record, wanted.field),
                )
        return writer.to_file()

    def _have_enough(self, number: int) -> bool:
        """Whether the parts before this one are there and hold all records that are wanted."""
        wanted = self._preparation.max_samples
        if wanted is None or number == 0:
            return False
        before = 0
        for part in range(number):
            file = self._store.find(_name(part))
            if file is None:
                return False
            before += counts_of(file).records
            if before >= wanted:
                return True
        return False

    def _made(self) -> Iterator[tuple[Part, bytes]]:
        """The parts in order, up to the one that completes `maxSamples`."""
        wanted = self._preparation.max_samples
        records = 0
        for number in range(len(self._parts)):
            if wanted is not None and records >= wanted:
                return
            file = self._store.get(_name(number))
            part = Part(
                name=_name(number),
                size_bytes=len(file),
                sha256=hashlib.sha256(file).hexdigest(),
                counts=counts_of(file),
            )
            records += part.counts.records
            yield part, file

    def _indexed(self, made: Iterator[tuple[Part, bytes]]) -> Index:
        parts: list[Part] = []
        documents = 0
        records = 0
        for part, file in made:
            parts.append(part)
            wanted = self._preparation.max_samples
            if wanted is None or records + part.counts.records <= wanted:
                documents += part.counts.documents
            else:
                documents += int((records_of(file) < wanted - records).sum())
            records += part.counts.records
        total = sum((part.counts for part in parts), start=Counts())
        return Index(parts=tuple(parts), documents=documents, counts=total)

    def _present(self) -> set[str]:
        return {entry.name for entry in self._store.entries()}

    def _nothing(self, counts: Counts) -> str:
        names = ", ".join(found.name for found in self._preparation.objects[:3])
        return (
            f"{self._preparation.folder} ({names}) has {counts.records} records, of which none can be trained on:"
            f" {counts.too_long} are longer than recipe.data.maxLength {self._preparation.max_length} and"
            f" {counts.without_targets} have no token of which the loss is taken"
            f" (recipe.data.lossOn is {self._preparation.loss_on}); correct the data or these two."
        )


def _name(number: int) -> str:
    return f"{number:06}.safetensors"
