"""The sources of a recipe: which objects they are, and the lines of a part of them.

An object is resolved once, with its tag; later it is read only while it still has that tag.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from everstep_trainer.errors import MalformedRecordError, RefusedError
from everstep_trainer.objects import Store

BLOCK_BYTES = 8 * 1024 * 1024
PART_BYTES = 32 * 1024 * 1024
"""Text that one rank turns into tokens at a time: about 10 s of work, and 25 MB of tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceObject:
    """An object as it was when the job first started."""

    name: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The lines of an object that begin from `start` to below `end`."""

    found: SourceObject
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, and where it stands."""

    content: bytes
    offset: int
    """Bytes before it in its object."""


def resolve(address: str) -> tuple[str, tuple[SourceObject, ...]]:
    """The folder of the address, and the objects in it that the address names, sorted by name.

    A `*` stands for any characters but `/`. Objects without content are left out.

    Raises:
        RefusedError: there is none.
    """
    fixed = address.split("*", maxsplit=1)[0]
    folder = fixed.rpartition("/")[0]
    pattern = address.removeprefix(f"{folder}/")
    store = Store.at(folder)
    if pattern == fixed.rpartition("/")[2]:
        entry = store.head(pattern)
        entries = [entry] if entry else []
    else:
        entries = [entry for entry in store.entries() if _matches(entry.name, pattern)]
    if not entries:
        raise RefusedError(f"{address} names no object; correct the address, or put the data there.")
    objects = tuple(
        SourceObject(name=entry.name, size_bytes=entry.size_bytes, etag=entry.etag or str(entry.modified_s))
        for entry in entries
        if entry.size_bytes > 0
    )
    if not objects:
        raise RefusedError(f"{address} is empty; put records into it, one JSON object a line.")
    return folder, objects


def _matches(name: str, pattern: str) -> bool:
    regex = re.escape(pattern).replace(r"\*", "[^/]*")
    return re.fullmatch(regex, name) is not None


def split(objects: Sequence[SourceObject], *, part_bytes: int = PART_BYTES) -> list[list[Span]]:
    """The objects cut and joined into parts of about `part_bytes`, the same whoever asks."""
    parts: list[list[Span]] = [[]]
    room = part_bytes
    for found in objects:
        start = 0
        while start < found.size_bytes:
            if room == 0:
                parts.append([])
                room = part_bytes
            end = min(found.size_bytes, start + room)
            parts[-1].append(Span(found=found, start=start, end=end))
            room -= end - start
            start = end
    return parts


def read_lines(store: Store, span: Span) -> Iterator[Line]:
    """The lines of the span that are not blank, each whole, also when it ends behind the span.

    Raises:
        RefusedError: the object is not the one that was resolved.
    """
    refuse_if_changed(store, span.found)
    # From the byte before: the line that it belongs to is the last span's, and ends there if that byte ends a line.
    offset = max(0, span.start - 1)
    lines = _lines(store, span.found, offset)
    if span.start > 0:
        offset += len(next(lines))
    for raw in lines:
        if offset >= span.end:
            break
        if raw.strip():
            yield Line(content=raw, offset=offset)
        offset += len(raw)
    refuse_if_changed(store, span.found)


def _lines(store: Store, found: SourceObject, offset: int) -> Iterator[bytes]:
    """Lines with their ends, from the offset to the end of the object."""
    rest = b""
    while offset < found.size_bytes:
        length = min(BLOCK_BYTES, found.size_bytes - offset)
        *lines, rest = (rest + store.get_range(found.name, offset, length)).split(b"\n")
        offset += length
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def refuse_if_changed(store: Store, found: SourceObject) -> None:
    """Make sure that the object is still what it was when the job first started.

    Raises:
        RefusedError: it is gone or another one.
    """
    entry = store.head(found.name)
    if entry is None:
        raise RefusedError(f"{store.uri}/{found.name} was deleted after the job had started; put it back.")
    if (entry.etag or str(entry.modified_s)) != found.etag or entry.size_bytes != found.size_bytes:
        raise RefusedError(
            f"{store.uri}/{found.name} changed after the job had started: it had {found.size_bytes} bytes and tag"
            f" {found.etag}, now {entry.size_bytes} and {entry.etag}; put the old one back, or apply the job anew."
        )


def line_number(store: Store, found: SourceObject, offset: int) -> int:
    """The number, from 1, of the line that begins at the offset."""
    newlines = 0
    for start in range(0, offset, BLOCK_BYTES):
        newlines += store.get_range(found.name, start, min(BLOCK_BYTES, offset - start)).count(b"\n")
    return newlines + 1


def parse(line: bytes) -> dict[str, Any]:
    """The record in a line.

    Raises:
        MalformedRecordError: it is none; the text says why.
    """
    try:
        record = json.loads(line.decode("utf-8").lstrip("\ufeff"))
    except UnicodeDecodeError as error:
        raise MalformedRecordError(f"is no UTF-8 text (byte {error.start + 1} is 0x{line[error.start]:02x})") from error
    except json.JSONDecodeError as error:
        raise MalformedRecordError(f"is no JSON ({error.msg} at character {error.pos + 1})") from error
    if not isinstance(record, dict):
        raise MalformedRecordError(f"is a JSON {type(record).__name__}, not an object")
    return record
