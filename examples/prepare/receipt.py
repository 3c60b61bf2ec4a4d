"""What was put into a target, so that the next run can tell what is there and whole.

`prepared.json` beside the objects holds for each part the version of its making and for each object its size, digest
and the store's tag. An object that still has its tag has not been written since; one with another tag (a folder that
was copied, a store that was moved) is read and its digest compared.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from everstep_trainer.objects import Store

NAME = "prepared.json"
Objects = Mapping[str, "Sealed"]
Content = bytes | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An object as it was written."""

    sha256: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Objects that are made together."""

    version: int
    """Of the program that made them."""
    objects: Objects


@dataclass(frozen=True, slots=True)
class Receipt:
    """The parts that a target holds, by name."""

    parts: Mapping[str, Part]

    @classmethod
    def read(cls, store: Store) -> Self:
        """The target's receipt; an empty one where there is none or another program's file."""
        try:
            found = json.loads(store.find(NAME) or b"{}")
            return cls({name: _part(part) for name, part in found.items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls({})

    def write(self, store: Store) -> None:
        """Put it into the target, in place of the one before."""
        content = {name: asdict(part) for name, part in self.parts.items()}
        store.put(NAME, f"{json.dumps(content, indent=2)}\n".encode())

    def has(self, name: str, version: int, store: Store) -> bool:
        """Whether the part is there in this version, and every object of it whole."""
        part = self.parts.get(name)
        return (
            part is not None
            and part.version == version
            and all(is_whole(store, name, sealed) for name, sealed in part.objects.items())
        )

    def with_part(self, name: str, part: Part) -> Self:
        """The same with this part."""
        return type(self)({**self.parts, name: part})


def is_whole(store: Store, name: str, sealed: Sealed) -> bool:
    """Whether the store holds exactly these bytes."""
    entry = store.head(name)
    if entry is None or entry.size_bytes != sealed.size_bytes:
        return False
    return entry.etag == sealed.etag or digest(store.get(name)) == sealed.sha256


def seal(store: Store, name: str, content: Content) -> Sealed:
    """Make the store hold these bytes under this name; an object that has them already keeps its time and tag."""
    size_bytes = len(content) if isinstance(content, bytes) else content.stat().st_size
    wanted = Sealed(sha256=digest(content), size_bytes=size_bytes, etag="")
    if not is_whole(store, name, wanted):
        store.put(name, content)
    entry = store.head(name)
    return Sealed(sha256=wanted.sha256, size_bytes=size_bytes, etag=entry.etag if entry else "")


def digest(content: Content) -> str:
    """The SHA-256 of bytes or of a file."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part(found: Any) -> Part:
    return Part(version=found["version"], objects={name: Sealed(**sealed) for name, sealed in found["objects"].items()})
