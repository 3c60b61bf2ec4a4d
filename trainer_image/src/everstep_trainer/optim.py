"""AdamW on this rank's shards.

AdamW treats each number by itself, so it needs no DTensor: on plain local parts the first step takes half the time.
Its moments have the parts of their weights. They exist from the beginning, so that what is saved has one layout.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from everstep_trainer.parallel.shard import Chunk, chunk_of, local_part

_LEAST_DECAYED_DIMENSIONS = 2
"""Weight decay is for matrices; biases and norms have one dimension and are left alone."""
_WRAPPER = "_checkpoint_wrapped_module."
"""What activation checkpointing puts into a weight's name; a state is the same without it."""
_MOMENTS = ("exp_avg", "exp_avg_sq")


class ShardedAdamW:
    """AdamW over the trained weights of a model that is spread already and in its memory."""

    def __init__(self, model: nn.Module, *, betas: tuple[float, float], weight_decay: float) -> None:
        named = ((name.replace(_WRAPPER, ""), weight) for name, weight in model.named_parameters())
        self._weights = {name: weight for name, weight in named if weight.requires_grad}
        self._parts = {name: local_part(weight) for name, weight in self._weights.items()}
        decayed = [name for name, weight in self._weights.items() if weight.ndim >= _LEAST_DECAYED_DIMENSIONS]
        groups = [
            {"params": [self._parts[name] for name in decayed], "weight_decay": weight_decay},
            {"params": [part for name, part in self._parts.items() if name not in decayed], "weight_decay": 0.0},
        ]
        # fused: one pass over the memory; on a CPU 4.4 ms for 4 million weights, where foreach takes 23
        self._adamw = torch.optim.AdamW([group for group in groups if group["params"]], betas=betas, fused=True)
        for part in self._parts.values():
            moments = {moment: torch.zeros_like(part) for moment in _MOMENTS}
            self._adamw.state[part] = {"step": torch.zeros((), dtype=torch.float32, device=part.device), **moments}

    @property
    def updates(self) -> int:
        """How often the weights were changed, which the moments' correction needs."""
        return next((int(state["step"].item()) for state in self._adamw.state.values()), 0)

    @updates.setter
    def updates(self, count: int) -> None:
        for state in self._adamw.state.values():
            state["step"].fill_(float(count))

    def reset(self) -> None:
        """Begin anew: moments of zero, and no update yet."""
        for state in self._adamw.state.values():
            for tensor in state.values():
                tensor.zero_()

    def gradients(self) -> list[Tensor]:
        """The local parts of the gradients; from now on they are what `update` uses."""
        for name, weight in self._weights.items():
            self._parts[name].grad = None if weight.grad is None else local_part(weight.grad)
        return [part.grad for part in self._parts.values() if part.grad is not None]

    def update(self, *, learning_rate: float, norm: float, longest: float) -> None:
        """Change the weights by the gradients, which are cut to the length `longest`; `norm` is that of all ranks."""
        torch.nn.utils.clip_grads_with_norm_(self._parts.values(), longest, torch.tensor(norm))
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()

    def clear(self) -> None:
        """Forget the gradients."""
        for name, weight in self._weights.items():
            self._parts[name].grad = None
            weight.grad = None

    def state(self) -> Iterator[tuple[Chunk, Tensor]]:
        """Everything that a training state is made of but its counters: trained weights and their moments."""
        for name, weight in self._weights.items():
            part = self._parts[name]
            yield chunk_of(f"weight.{name}", weight), part
            for moment in _MOMENTS:
                yield chunk_of(f"{moment}.{name}", weight), self._adamw.state[part][moment]
