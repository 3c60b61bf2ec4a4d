"""Going on with a text: each token is predicted from those before it in the same document.

Shapes: B rows, L tokens in a row, D numbers in a hidden state.
"""

import sys
from typing import Protocol, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from everstep_trainer.errors import RefusedError
from everstep_trainer.losses import Sums, evaluation_sums, summed_loss

_CHANGED_LOGITS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")
"""Settings of configurations by which a model changes its logits behind the output layer."""


class Batch(Protocol):
    """What the task needs of a micro-batch."""

    @property
    def tokens_BL(self) -> Tensor:  # noqa: N802 - the name carries the shape
        """The rows."""

    @property
    def targets_BL(self) -> Tensor:  # noqa: N802 - the name carries the shape
        """The next token, where it counts."""

    @property
    def positions_BL(self) -> Tensor:  # noqa: N802 - the name carries the shape
        """Places within the documents."""


class CausalLM(nn.Module):
    """A language model whose forward is its loss. The weights are those of `network`.

    Documents of a row do not see one another: transformers' own masks, those of sliding windows too, begin anew where
    positions do, as long as no other mask and no cache is given.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        causal = causal_of(network)
        refuse_unknown_forward(causal)
        self._vocabulary = int(causal.config.get_text_config().vocab_size)

    def forward(self, tokens_BL: Tensor, targets_BL: Tensor, positions_BL: Tensor) -> Tensor | Sums:
        """The summed loss over the targets; in evaluation mode the sums of an evaluation."""
        causal = causal_of(self.network)
        body = causal.base_model
        head = cast("nn.Module", causal.get_output_embeddings())  # type: ignore[no-untyped-call] # not annotated
        hidden_BLD = body(input_ids=tokens_BL, position_ids=positions_BL, use_cache=False).last_hidden_state
        if self.training:
            return summed_loss(hidden_BLD, targets_BL, head, vocabulary=self._vocabulary)
        return evaluation_sums(hidden_BLD, targets_BL, head, vocabulary=self._vocabulary)


def causal_of(network: nn.Module) -> PreTrainedModel:
    """The model of transformers, with or without adapters in it."""
    return cast("PreTrainedModel", network.get_base_model() if isinstance(network, PeftModel) else network)


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """The loss summed over the targets of the micro-batch, in fp32; the model is in training mode."""
    return cast("Tensor", _computed(model, batch))


@torch.no_grad()
def sums_of(model: nn.Module, batch: Batch) -> Sums:
    """What the micro-batch adds to an evaluation; the model is in evaluation mode."""
    return cast("Sums", _computed(model, batch))


def _computed(model: nn.Module, batch: Batch) -> Tensor | Sums:
    device = next(model.parameters()).device
    return cast(
        "Tensor | Sums", model(batch.tokens_BL.to(device), batch.targets_BL.to(device), batch.positions_BL.to(device))
    )


def refuse_unknown_forward(causal: PreTrainedModel) -> None:
    """Make sure that hidden states and output layer are all there is, and that documents stay apart.

    Raises:
        RefusedError: the model does something else, and its loss would be silently wrong.
    """
    config = causal.config.get_text_config()
    for name in _CHANGED_LOGITS:
        value = getattr(config, name, None)
        if value not in (None, 1):
            raise RefusedError(
                f"recipe.model is a {config.model_type} with {name} {value}, which changes the logits behind the"
                " output layer; this release does not compute that. Name another model."
            )
    masks_anew = hasattr(sys.modules[type(causal.base_model).__module__], "create_causal_mask")
    runs_over = any(isinstance(module, nn.Conv1d) for module in causal.modules())  # Mamba and others of its kind
    if runs_over or not masks_anew:
        raise RefusedError(
            f"recipe.model is a {config.model_type}, which cannot keep the documents of a row apart in this release."
            " Name another model."
        )
