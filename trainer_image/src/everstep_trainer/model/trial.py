"""A trial before anything is trained: does our loss of packed documents agree with the model's own of each by itself?

It is made on a small copy with random weights: the same kind of model with the same settings, but few and narrow
layers. So a model that does something behind its hidden states, or lets documents see one another, is found in 0.1 s,
and not by its loss.
"""

import copy
import logging

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, PretrainedConfig

from everstep_trainer.errors import RefusedError
from everstep_trainer.losses import Sums
from everstep_trainer.tasks.causal_lm import CausalLM

log = logging.getLogger(__name__)

_SMALL = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
_PER_LAYER = ("layer_types", "mlp_layer_types")
"""Settings that have an entry for each layer."""
_SPECIAL_TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id")
_LENGTHS = (11, 17, 5)
"""Tokens of the documents in the row."""
_TOLERANCE = 3e-6
"""Relative. Of 20 kinds of models the two differ by 2e-7 at most; where something is computed otherwise, by 2e-5."""

_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RuntimeError,
    IndexError,
    ImportError,
    StrictDataclassError,
)
"""What transformers, and a model's own code, raise of a configuration that they cannot follow."""


def try_loss(config: PretrainedConfig) -> None:
    """Make sure that the model's loss, as it is computed here, is the model's own.

    A kind of model of which no small copy can be made is not tried: what is known of models stands in `tasks/`.

    Raises:
        RefusedError: it is another, or cannot be computed here.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _small_copy(config)
        if network is None:
            return
        documents = [torch.randint(3, _SMALL["vocab_size"], (length,)) for length in _LENGTHS]
    network.eval()
    expected = sum(_own_loss(network, document) for document in documents)
    try:
        found = _packed_loss(network, documents)
    except _FAULTS as error:
        raise RefusedError(
            f"recipe.model is a {config.model_type}, whose loss of packed documents cannot be computed here:"
            f" {_first_line(error)}. This release cannot train it; name another model."
        ) from error
    if abs(found - expected) > _TOLERANCE * abs(expected):
        raise RefusedError(
            f"recipe.model is a {config.model_type}, whose own loss of three documents is {expected:.4f}, but packed"
            f" into one row it is computed here as {found:.4f}. This release cannot train it; name another model."
        )


def _small_copy(config: PretrainedConfig) -> nn.Module | None:
    try:
        small = _cut(config)
        network: nn.Module = AutoModelForCausalLM.from_config(small, dtype=torch.float32, attn_implementation="sdpa")  # type: ignore[no-untyped-call] # not annotated
        _own_loss(network.eval(), torch.arange(3, 9))
    except _FAULTS as error:
        log.info("The loss of a %s is not tried, since no small copy of it can be made: %s", config.model_type, error)
        return None
    return network


def _first_line(error: Exception) -> str:
    return f"{error}".strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _cut(config: PretrainedConfig) -> PretrainedConfig:
    small = copy.deepcopy(config.get_text_config())
    for name, value in _SMALL.items():
        if getattr(small, name, None) is not None:
            setattr(small, name, value)
    for name in _PER_LAYER:
        entries = getattr(small, name, None)
        if entries is not None:
            setattr(small, name, _kinds(entries))
    for name in _SPECIAL_TOKENS:
        setattr(small, name, None)
    return small


def _kinds(entries: list[str]) -> list[str]:
    """One layer of each kind that the model has, up to the layers of the copy."""
    kinds = list(dict.fromkeys(entries))
    return (kinds * _SMALL["num_hidden_layers"])[: _SMALL["num_hidden_layers"]]


@torch.no_grad()
def _own_loss(network: nn.Module, tokens: Tensor) -> float:
    logits = network(input_ids=tokens.unsqueeze(0), use_cache=False).logits[0, :-1]
    return float(functional.cross_entropy(logits.float(), tokens[1:], reduction="sum"))


@torch.no_grad()
def _packed_loss(network: nn.Module, documents: list[Tensor]) -> float:
    ends = torch.tensor([-100])
    tokens = torch.cat(documents).unsqueeze(0)
    targets = torch.cat([torch.cat([document[1:], ends]) for document in documents]).unsqueeze(0)
    positions = torch.cat([torch.arange(len(document)) for document in documents]).unsqueeze(0)
    sums = CausalLM(network).eval()(tokens, targets, positions)
    assert isinstance(sums, Sums)  # noqa: S101 - what the model returns in evaluation mode
    return float(sums.loss)
