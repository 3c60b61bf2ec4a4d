"""Tensors as transformers reads them: safetensors of a bounded size and, where there are several, their index."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from everstep_trainer.objects import Store

LARGEST_FILE_BYTES = 1024**3
"""A file is in memory, then on the cache volume, then in the store: 1 GiB is what a worker can spare."""


class WeightFiles:
    """Writes tensors, which come one by one in the order that was announced, into files of a store."""

    def __init__(
        self, store: Store, scratch: Path, sizes: Mapping[str, int], *, stem: str, most_bytes: int = LARGEST_FILE_BYTES
    ) -> None:
        """`sizes` has the bytes of each tensor, `stem` the beginning of the files' names."""
        self._store = store
        self._scratch = scratch
        self._stem = stem
        self._total_bytes = sum(sizes.values())
        groups = _grouped(sizes, most_bytes)
        self._file_of = {name: self._name(number, len(groups)) for number, group in enumerate(groups) for name in group}
        self._last = {group[-1] for group in groups if group}
        self._held: dict[str, Tensor] = {}

    def add(self, name: str, tensor: Tensor) -> None:
        """Take the next tensor; a file that is full with it goes to the store."""
        self._held[name] = tensor.cpu().contiguous()
        if name in self._last:
            self._scratch.mkdir(parents=True, exist_ok=True)
            path = self._scratch / self._file_of[name]
            save_file(self._held, path, metadata={"format": "pt"})
            self._held = {}
            self._store.put(path.name, path)
            path.unlink()

    def finish(self) -> None:
        """Write the index, where there is more than one file."""
        if len(self._last) > 1:
            index = {"metadata": {"total_size": self._total_bytes}, "weight_map": self._file_of}
            self._store.put(
                f"{self._stem}.safetensors.index.json", json.dumps(index, indent=2, sort_keys=True).encode()
            )

    def _name(self, number: int, files: int) -> str:
        return f"{self._stem}{'' if files == 1 else f'-{number + 1:05}-of-{files:05}'}.safetensors"


def _grouped(sizes: Mapping[str, int], most_bytes: int) -> Sequence[list[str]]:
    """The names in order, cut where a file would become too large."""
    groups: list[list[str]] = [[]]
    held = 0
    for name, size in sizes.items():
        if groups[-1] and held + size > most_bytes:
            groups.append([])
            held = 0
        groups[-1].append(name)
        held += size
    return groups
