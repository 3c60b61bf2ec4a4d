"""Snapshots in memory: what ranks write, agents copy and serve, and the ranks of the next world read.

    <owner's pod uid>.<slot>.<A or B>.safetensors   the tensors of one rank, written in place
    <owner's pod uid>.<slot>.<A or B>.head          a `Head`: it is there only while the file beside it is whole

A head is removed before its file is touched and comes back by a rename once the file is whole, so whatever is killed
at whatever moment, a head that can be read tells the truth. Both carry checksums against what memory and network may
do to them; crc32, at 4.7 GB/s, is a third of the work of a sha256. Against people there is the world's secret.
"""

import re
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from everstep_api.wire.decode import MalformedMessageError, decode, encode
from everstep_api.wire.sync import StatePoint

BLOCK_BYTES = 4 * 1024 * 1024
"""A checksum is taken of each so many bytes of a file. A rank that needs a part of a block reads all of it."""

NAME = re.compile(r"[0-9A-Za-z-]{1,63}\.\d{1,4}\.[AB]")
"""Of a file and its head, without the ending."""
FILE = ".safetensors"
HEAD = ".head"
_CHECKSUM_LENGTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One rank's part of a snapshot."""

    point: StatePoint
    shard: int
    shards: int
    """Parts of the whole; replicas of a rank write the same part."""
    size_bytes: int
    header_bytes: int
    """Length of the file's own beginning, which says where its tensors lie."""
    header_crc32: int
    blocks_crc32: tuple[int, ...]
    """Of each block of the file; the last one may be shorter."""
    state: dict[str, Any]
    """Everything of the training state that is no tensor; of interest to trainers alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPart:
    """A part that a worker holds, its own or a copy."""

    name: str
    point: StatePoint
    shard: int
    shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that one worker holds."""

    address: str
    """Where its agent serves it, `host:port`."""
    parts: tuple[HeldPart, ...]


def write_head(head: Head) -> bytes:
    """The text of a head, with its own checksum in front."""
    text = encode(head)
    return b"%08x %s" % (crc32(text), text)


def read_head(text: bytes) -> Head:
    """The head.

    Raises:
        MalformedMessageError: it is none, or not what was written.
    """
    checksum, _, rest = text.partition(b" ")
    if len(checksum) != _CHECKSUM_LENGTH or checksum != b"%08x" % crc32(rest):
        raise MalformedMessageError("The head of a snapshot does not have its checksum")
    head: Head = decode(rest, Head)
    return head
