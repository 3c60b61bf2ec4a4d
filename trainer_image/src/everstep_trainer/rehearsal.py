"""One step of a toy model in a world of one, so that a spare has paid what a first step costs before it is needed.

It takes half of the first step's 1.4 s away: libraries are loaded on first use, code paths are found, memory is had.
"""

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.shard import shard
from everstep_trainer.parallel.world import Place, enter, leave_rehearsal, open_store
from everstep_trainer.step import MicroBatch, Wish, Work, take_step

_TIMEOUT_S = 60.0
_WIDTH = 64


class _Rows:
    index = 0
    rows = (0,)
    counts = True


def rehearse() -> None:
    """Take the step and leave the toy world."""
    place = Place(world=0, rank=0, size=1, local_rank=0, ranks_per_worker=1, host="127.0.0.1")
    world = enter(place, open_store(timeout_s=_TIMEOUT_S), sharding="full", timeout_s=_TIMEOUT_S)
    model: nn.Module = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=_WIDTH,
            hidden_size=_WIDTH,
            intermediate_size=_WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )
    shard(model, world, precision="bf16")
    take_step(
        model,
        ShardedAdamW(model, betas=(0.9, 0.95), weight_decay=0.1),
        _loss_of,
        Work(step=1, rows=_Rows.rows, targets=_WIDTH, micro_batches=[_Rows()]),
        wish=Wish(),
        world=world,
        seed=0,
        learning_rate=1e-3,
        longest_gradient=1.0,
    )
    leave_rehearsal()


def _loss_of(model: nn.Module, _: MicroBatch) -> Tensor:
    tokens = torch.zeros((1, _WIDTH), dtype=torch.int64)
    logits: Tensor = model(input_ids=tokens, use_cache=False).logits
    return nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(), reduction="sum")
