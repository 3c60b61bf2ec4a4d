"""Cross entropy over a large vocabulary without ever holding the logits of all positions.

Shapes: B rows, L tokens in a row, D numbers in a hidden state, N positions that count, V words.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from everstep_trainer.data.rows import IGNORED

CHUNK_LOGITS = 2**24
"""Logits that are held at a time: 64 MiB in fp32, 340 positions of a vocabulary of 49,152 words."""

Head = Callable[[Tensor], Tensor]


class Sums(NamedTuple):
    """What a batch adds to an evaluation. A tuple, so that FSDP finds the tensors in it."""

    loss: Tensor
    tokens: Tensor
    correct: Tensor


def summed_loss(hidden_BLD: Tensor, targets_BL: Tensor, head: Head, *, vocabulary: int) -> Tensor:
    """The cross entropy in fp32, summed over the positions whose target is not ignored.

    Logits are computed in chunks and again in the backward pass. Without any target the sum is 0 and so are all
    gradients, but there are gradients: ranks issue the same collectives.
    """
    hidden_ND, targets_N = _counted(hidden_BLD, targets_BL)
    if len(targets_N) == 0:
        return head(hidden_BLD[:1, :1]).float().sum() * 0.0
    losses = [
        checkpoint(_loss, chunk_ND, chunk_N, head, use_reentrant=False)
        for chunk_ND, chunk_N in _chunks(hidden_ND, targets_N, vocabulary)
    ]
    return torch.stack(losses).sum()


@torch.no_grad()
def evaluation_sums(hidden_BLD: Tensor, targets_BL: Tensor, head: Head, *, vocabulary: int) -> Sums:
    """Loss, targets, and targets that were the likeliest word, each summed; in fp64, where order hardly matters."""
    hidden_ND, targets_N = _counted(hidden_BLD, targets_BL)
    loss = torch.zeros((), dtype=torch.float64, device=hidden_BLD.device)
    correct = torch.zeros_like(loss)
    for chunk_ND, chunk_N in _chunks(hidden_ND, targets_N, vocabulary):
        logits_NV = head(chunk_ND).float()
        loss += functional.cross_entropy(logits_NV, chunk_N, reduction="sum")
        correct += (logits_NV.argmax(dim=-1) == chunk_N).sum()
    return Sums(loss=loss, tokens=torch.full_like(loss, len(targets_N)), correct=correct)


def _counted(hidden_BLD: Tensor, targets_BL: Tensor) -> tuple[Tensor, Tensor]:
    targets = targets_BL.flatten()
    places_N = (targets != IGNORED).nonzero().squeeze(1)
    return hidden_BLD.flatten(0, 1).index_select(0, places_N), targets.index_select(0, places_N)


def _chunks(hidden_ND: Tensor, targets_N: Tensor, vocabulary: int) -> Iterator[tuple[Tensor, Tensor]]:
    size = max(1, CHUNK_LOGITS // vocabulary)
    return zip(torch.split(hidden_ND, size), torch.split(targets_N, size), strict=True)


def _loss(hidden_ND: Tensor, targets_N: Tensor, head: Head) -> Tensor:
    return functional.cross_entropy(head(hidden_ND).float(), targets_N, reduction="sum")
