"""Small models from configurations, since none can be had from outside."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from everstep_api.recipe import Recipe
from everstep_trainer.model.build import DTYPES, build, make_network
from everstep_trainer.model.weights import FileValues, OriginalValues, Values, fill
from everstep_trainer.tasks.causal_lm import CausalLM, causal_of


def a_config(**changes: Any) -> LlamaConfig:
    """A Llama of two layers."""
    settings: dict[str, Any] = {
        "vocab_size": 260,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        **changes,
    }
    return LlamaConfig(**settings)


def a_recipe(**changes: Any) -> Recipe:
    """A recipe for the Llama, in fp32; `model` is merged, the rest replaced."""
    model = {"config": {"model_type": "llama"}, **changes.pop("model", {})}
    data = {"train": [{"source": "file:///data/a.jsonl"}]}
    return Recipe.model_validate_json(json.dumps({"model": model, "data": data, "precision": "fp32", **changes}))


def a_saved_model(folder: Path, *, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A model of transformers with random weights, saved as transformers saves it."""
    torch.manual_seed(seed)
    network = LlamaForCausalLM(a_config(**changes))
    network.save_pretrained(folder)
    return network


def a_filled_model(
    recipe: Recipe, *, folder: Path | None = None, config: LlamaConfig | None = None, seed: int = 1
) -> CausalLM:
    """The model as a rank has it that is alone: built on meta, made real, filled."""
    config = config or a_config()
    model = CausalLM(build(config, recipe, recipe.activation_checkpointing or "none"))
    model.to_empty(device="cpu")
    causal_of(model.network).tie_weights()
    originals = OriginalValues(make_network(config, DTYPES["fp32"]), seed=seed)
    values: Values = FileValues(folder, str(folder)) if folder is not None else originals
    fill(model, values, originals, seed=seed)
    return model


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """All weights by name."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
