"""Where each tensor of a rank's state lies in its file: safetensors, written and read by ranges.

The format (huggingface/safetensors, "Format"): eight bytes with the header's length, the header as JSON, then the
tensors one after the other. Written here by hand, since a tensor then goes from its memory to the file without a copy.
The header's `__metadata__` says of each tensor, as `<first row>/<rows of the whole>`, which part of it this is.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from everstep_trainer.parallel.shard import Chunk

_WIDTHS = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
_ALIGNMENT = 8
_METADATA = "__metadata__"
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A chunk and the byte of the file at which it begins."""

    chunk: Chunk
    begin: int

    @property
    def row_bytes(self) -> int:
        """Size of one row."""
        return prod(self.chunk.shape[1:]) * _WIDTHS[self.chunk.dtype]

    @property
    def size_bytes(self) -> int:
        """Size of the whole chunk."""
        return self.chunk.rows * self.row_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A rank's chunks in its file."""

    placed: tuple[Placed, ...]
    header: bytes
    """The file's beginning, up to the first tensor."""

    @classmethod
    def of(cls, chunks: Iterable[Chunk]) -> Self:
        """Lay the chunks one after the other, in their order."""
        placed = []
        end = 0
        entries: dict[str, Any] = {_METADATA: {}}
        for chunk in chunks:
            one = Placed(chunk=chunk, begin=end)
            end += one.size_bytes
            entries[chunk.name] = {
                "dtype": chunk.dtype,
                "shape": list(chunk.local_shape),
                "data_offsets": [one.begin, end],
            }
            entries[_METADATA][chunk.name] = f"{chunk.start}/{chunk.shape[0]}"
            placed.append(one)
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % _ALIGNMENT)
        header = _LENGTH.pack(len(text)) + text
        return cls(
            placed=tuple(Placed(chunk=one.chunk, begin=one.begin + len(header)) for one in placed), header=header
        )

    @classmethod
    def read(cls, header: bytes) -> Self:
        """The layout of the file that begins so.

        Raises:
            ValueError: no file of ours does.
        """
        length = _LENGTH.size
        if len(header) < length or len(header) != length + _LENGTH.unpack_from(header)[0]:
            raise ValueError(f"A header of {len(header)} bytes does not have the length that it says")
        entries = json.loads(header[length:])
        metadata = entries.pop(_METADATA)
        placed = []
        for name, entry in entries.items():
            start, whole = (int(number) for number in metadata[name].split("/"))
            rows, *others = entry["shape"]
            chunk = Chunk(name=name, shape=(whole, *others), dtype=entry["dtype"], start=start, rows=rows)
            placed.append(Placed(chunk=chunk, begin=len(header) + entry["data_offsets"][0]))
        return cls(placed=tuple(placed), header=header)

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return max((one.begin + one.size_bytes for one in self.placed), default=len(self.header))


def bytes_of(part: Tensor) -> Tensor:
    """The tensor's memory as bytes, without a copy."""
    return part.view(-1).view(torch.uint8)


def write(layout: Layout, parts: Iterable[Tensor], path: Path) -> None:
    """Write the parts of the layout's chunks, in their order, into a new file."""
    with path.open("wb") as file:
        file.write(layout.header)
        for part in parts:
            if part.numel() > 0:
                file.write(bytes_of(part).cpu().numpy().data)
