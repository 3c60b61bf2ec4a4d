"""Training as a page of plain PyTorch: transformers, peft and nothing of ours, one document at a time.

It is the reference: no packing, no sharding, no micro-batches, no mixed precision, no own loss.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A document, and which of its tokens are learnt."""

    tokens: Sequence[int]
    has_loss: Sequence[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What became of the model."""

    losses: list[float]
    """Mean over the targets of each step."""
    model: nn.Module
    """In full, adapters merged."""


def train(
    folder: Path,
    steps: Sequence[Sequence[Text]],
    *,
    learning_rate: float,
    warmup_steps: int,
    lora_rank: int | None = None,
    adapters: dict[str, Tensor] | None = None,
) -> Trained:
    """Train the model in the folder on the documents of each step; with adapters that begin as is given."""
    model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if lora_rank is not None:
        config = LoraConfig(r=lora_rank, lora_alpha=2 * lora_rank, target_modules="all-linear", task_type="CAUSAL_LM")
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5 by a name that it will lose
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
            model = get_peft_model(model, config)
        model.load_state_dict(adapters or {}, strict=False)
    model.train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.999), weight_decay=0.0)
    losses = []
    for step, texts in enumerate(steps, start=1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _share(step, warmup_steps, len(steps))
        loss = _loss(model, texts)
        loss.backward()  # type: ignore[no-untyped-call] # torch's own
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return Trained(losses=losses, model=model.merge_and_unload() if isinstance(model, PeftModel) else model)


def _loss(model: nn.Module, texts: Sequence[Text]) -> Tensor:
    logits, targets = [], []
    for text in texts:
        tokens = torch.tensor([text.tokens])
        logits.append(model(input_ids=tokens).logits[0, :-1])
        learnt = torch.tensor(text.has_loss)
        targets.append(torch.where(learnt, tokens[0], IGNORED)[1:])
    return nn.functional.cross_entropy(torch.cat(logits), torch.cat(targets), ignore_index=IGNORED)


def _share(step: int, warmup_steps: int, total_steps: int) -> float:
    """A linear rise, then half a cosine down to a tenth."""
    if step <= warmup_steps:
        return step / warmup_steps
    gone = (step - warmup_steps) / (total_steps - warmup_steps)
    return 0.1 + 0.9 * (1 + math.cos(math.pi * gone)) / 2
