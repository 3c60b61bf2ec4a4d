"""A model spread over the ranks of a world, and the part of each weight that a rank holds.

Sums are sums: a rank's loss is already divided by the targets of the whole step, so FSDP must add gradients and not
average them. That is said to **every** FSDP module, since on the root alone it is silently ignored.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from everstep_trainer.errors import RefusedError
from everstep_trainer.parallel.world import World

Precision = Literal["bf16", "fp32"]
_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The part of a tensor that one rank holds: whole rows, from `start` on."""

    name: str
    shape: tuple[int, ...]
    """Of the whole tensor."""
    dtype: str
    """As safetensors spells it."""
    start: int
    """First row, along the first dimension."""
    rows: int

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Of the part."""
        return (self.rows, *self.shape[1:])


def shard(model: nn.Module, world: World, *, precision: Precision) -> None:
    """Spread the model over the world, block by block; computes in `precision`, sums gradients in fp32.

    The model may still be on the meta device; `to_empty` then makes this rank's part alone.
    """
    policy = MixedPrecisionPolicy(param_dtype=_DTYPES[precision], reduce_dtype=torch.float32)
    # What is held whole need not be put together again for the backward pass: that costs a sixth of a step on a CPU.
    forgets = world.replicas < world.size
    for block in blocks_of(model):
        fully_shard(block, mesh=world.mesh, mp_policy=policy, reshard_after_forward=forgets)
    fully_shard(model, mesh=world.mesh, mp_policy=policy, reshard_after_forward=forgets)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def reshard(model: nn.Module) -> None:
    """Let each rank hold its own part of every weight alone, in the weight's own type.

    A backward pass ends so by itself. A forward pass alone leaves whole copies behind, in the precision of the
    computation, where weights need not be forgotten before the backward pass; who reads weights then reads the copies.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The layers that are gathered one at a time: the entries of the list of modules with the most weights."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) > 0]
    weights = {id(found): sum(weight.numel() for weight in found.parameters()) for found in lists}
    return list(max(lists, key=lambda found: weights[id(found)])) if lists else []


def chunk_of(name: str, parameter: Tensor) -> Chunk:
    """Which part of the parameter this rank holds."""
    shape, start, rows = tuple(parameter.shape), 0, parameter.shape[0]
    if isinstance(parameter, DTensor):
        local, offset = compute_local_shape_and_global_offset(
            parameter.shape, parameter.device_mesh, parameter.placements
        )
        start, rows = min(offset[0], shape[0]), local[0]
        if local[1:] != shape[1:]:
            raise RefusedError(
                f"{name} is spread along another dimension than its first, which this release does not save; write"
                " recipe.sharding none, or name another model."
            )
    return Chunk(name=name, shape=shape, dtype=_SPELLED[parameter.dtype], start=start, rows=rows)


def whole(tensor: Tensor) -> Tensor:
    """The whole parameter, gathered from all ranks, who call this together; outside of autograd."""
    return tensor.full_tensor().detach() if isinstance(tensor, DTensor) else tensor.detach()


def local_part(tensor: Tensor) -> Tensor:
    """This rank's part of a parameter or gradient, sharing its memory, outside of autograd."""
    return tensor.to_local().detach() if isinstance(tensor, DTensor) else tensor.detach()


_SPELLED = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
