"""Activation checkpointing: what a block computed is computed again in the backward pass in place of being kept.

`full` keeps a block's input alone. `selective` keeps the results of matrix products and of attention as well, which are
most of the work, and computes the cheap rest again.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from everstep_trainer.derived import Recompute

_EXPENSIVE = {
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,  # noqa: SLF001 - so torch names the operator
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,  # noqa: SLF001 - so torch names the operator
    torch.ops.aten._scaled_dot_product_efficient_attention.default,  # noqa: SLF001 - so torch names the operator
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,  # noqa: SLF001 - so torch names the operator
}


def recompute_in_backward(blocks: Sequence[nn.Module], what: Recompute) -> None:
    """Let each block forget what it can compute again. Names of weights stay as they are."""
    if what == "none":
        return
    selecting = {"context_fn": partial(create_selective_checkpoint_contexts, _policy)} if what == "selective" else {}
    for block in blocks:
        block.forward = _recomputing(block.forward, selecting)  # a module around it would rename weights


def _recomputing(forward: Callable[..., Any], selecting: dict[str, Any]) -> Callable[..., Any]:
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **selecting, **kwargs)

    return recomputed


def _policy(_context: Any, operator: Any, *_args: Any, **_kwargs: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operator in _EXPENSIVE else CheckpointPolicy.PREFER_RECOMPUTE
