"""Fills the part of the model that a rank holds: from files by slices, or with random numbers that no world changes.

A random weight depends on the job's seed and its own name alone. So a model begins the same in a world of any size.
"""

import copy
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from everstep_trainer.errors import RefusedError
from everstep_trainer.model.lora import initial_matrix, weight_name
from everstep_trainer.model.source import weight_files
from everstep_trainer.parallel.shard import Chunk, chunk_of, local_part

NETWORK = "network."
"""What a task puts before the names of the model's weights."""


class Values(Protocol):
    """Where the model's own weights come from."""

    def read(self, name: str, chunk: Chunk) -> Tensor:
        """The rows of the weight that the chunk has."""


class FileValues:
    """The weights in the safetensors files of a folder."""

    def __init__(self, folder: Path, address: str) -> None:
        self._address = address
        self._files = weight_files(folder)
        self._open: Callable[[Path], Any] = cache(lambda file: safe_open(file, framework="pt"))

    def read(self, name: str, chunk: Chunk) -> Tensor:
        """The rows, read from the file without the rest.

        Raises:
            RefusedError: the files have no such weight, or one of another shape.
        """
        key = next((key for key in (name, name.removeprefix("model.")) if key in self._files), None)
        if key is None:
            raise RefusedError(
                f"{self._address} has no weight {name}; save the model with transformers 5, as its class has it."
            )
        held = self._open(self._files[key]).get_slice(key)
        if tuple(held.get_shape()) != chunk.shape:
            raise RefusedError(
                f"{self._address} has {name} with shape {held.get_shape()}, but its config.json wants"
                f" {list(chunk.shape)}; put files of one model together."
            )
        return cast("Tensor", held[chunk.start : chunk.start + chunk.rows])


class OriginalValues:
    """What transformers gives a new model: random weights, and buffers that are computed.

    It works on a model that is on the meta device and was not spread: each module is made real by itself.
    """

    def __init__(self, network: PreTrainedModel, *, seed: int) -> None:
        self._network = network
        self._seed = seed

    def read(self, name: str, chunk: Chunk) -> Tensor:
        """The rows of a random weight; the whole of it is made for a moment."""
        return self.tensor(name)[chunk.start : chunk.start + chunk.rows]

    @torch.no_grad()
    def tensor(self, name: str) -> Tensor:
        """The whole weight or buffer.

        Raises:
            RefusedError: transformers leaves it without a value.
        """
        module_name, _, own_name = name.rpartition(".")
        module = copy.deepcopy(self._network.get_submodule(module_name)).to_empty(device="cpu")
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.fill_(torch.nan)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed_of(self._seed, name))
            self._network._init_weights(module)  # type: ignore[no-untyped-call] # noqa: SLF001 - what a model says of one module
        value = cast("Tensor", getattr(module, own_name))
        if value.is_floating_point() and value.isnan().any():
            raise RefusedError(
                f"A {self._network.config.model_type} gives {name} no beginning; name a finished model instead."
            )
        return value


@torch.no_grad()
def fill(model: nn.Module, values: Values, originals: OriginalValues, *, seed: int, with_trained: bool = True) -> None:
    """Give this rank's part of each weight, and each buffer, its value at the beginning of the job.

    Without the trained ones for a state that is restored from a checkpoint: it has these, the others come from here.
    """
    for name, parameter in model.named_parameters():
        if not with_trained and parameter.requires_grad:
            continue
        chunk = chunk_of(name, parameter)
        if chunk.rows == 0:
            continue  # more ranks than rows
        known = weight_name(name.removeprefix(NETWORK))
        if known.role in {"own", "saved"}:
            value = values.read(known.base, chunk)
        else:
            generator = torch.Generator().manual_seed(_seed_of(seed, f"{known.base}/{known.role}"))
            whole = initial_matrix(known.role, torch.Size(chunk.shape), generator)
            value = whole[chunk.start : chunk.start + chunk.rows]
        local_part(parameter).copy_(value)
    for name, buffer in model.named_buffers():
        buffer.copy_(originals.tensor(weight_name(name.removeprefix(NETWORK)).base))


def _seed_of(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "little")
