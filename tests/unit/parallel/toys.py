"""A tiny Llama with its rows, and the plainest possible loop over them, which shares no code with ours."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from everstep_trainer.step import MicroBatch, Work

ROWS = 8
MICRO_ROWS = 2
LENGTH = 16
VOCABULARY = 64


def a_llama(seed: int = 0) -> nn.Module:
    """The same weights for the same seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=33,  # not a multiple of 2: parts of unequal size
        intermediate_size=47,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=3,
        head_dim=10,
        max_position_embeddings=LENGTH,
        tie_word_embeddings=True,
    )
    model: nn.Module = LlamaForCausalLM(config)
    return model.to(torch.float32)


def row_of(number: int) -> Tensor:
    """Tokens of a row of the plan."""
    return torch.randint(0, VOCABULARY, (LENGTH,), generator=torch.Generator().manual_seed(number))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyBatch:
    index: int
    rows: tuple[int, ...]
    counts: bool = True


def rows_in(step: int) -> tuple[int, ...]:
    return tuple(range((step - 1) * ROWS, step * ROWS))


def a_work(step: int, *, rank: int = 0, size: int = 1, micro_rows: int = MICRO_ROWS) -> Work:
    """What the rank has to do in the step, dealt as DESIGN 5.2 has it."""
    rows = rows_in(step)
    dealt = [rows[start : start + micro_rows] for start in range(0, len(rows), micro_rows)]
    turns = -(-len(dealt) // size)
    own = [turn * size + rank for turn in range(turns)]
    batches = [
        ToyBatch(index=k, rows=dealt[k]) if k < len(dealt) else ToyBatch(index=k, rows=dealt[0], counts=False)
        for k in own
    ]
    return Work(step=step, rows=rows, targets=ROWS * (LENGTH - 1), micro_batches=batches)


def loss_of(model: nn.Module, micro_batch: MicroBatch) -> Tensor:
    tokens = torch.stack([row_of(row) for row in micro_batch.rows])
    logits = model(input_ids=tokens, use_cache=False).logits
    return cross_entropy(logits[:, :-1].float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum")


def plain_loop(steps: int, *, learning_rate: float, weight_decay: float) -> tuple[list[float], list[float], nn.Module]:
    """Losses, lengths of the gradients, and the model of a plain loop."""
    model = a_llama()
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim == 1]
    adamw = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=(0.9, 0.95),
    )
    losses, norms = [], []
    for step in range(1, steps + 1):
        tokens = torch.stack([row_of(row) for row in rows_in(step)])
        loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        adamw.step()
        adamw.zero_grad()
        losses.append(float(loss.detach()))
    return losses, norms, model
