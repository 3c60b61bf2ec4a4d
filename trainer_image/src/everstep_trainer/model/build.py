"""Makes the model on the meta device: its shape and types without its numbers.

A model that is trained in full has fp32 weights, the masters; FSDP computes with a copy in the recipe's precision. With
adapters the model's own weights are frozen in that precision, and the adapters alone are fp32.
"""

from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from everstep_api.recipe import Recipe
from everstep_trainer.data.masks import Tokenizer
from everstep_trainer.derived import Recompute
from everstep_trainer.errors import RefusedError
from everstep_trainer.model.lora import add_adapters
from everstep_trainer.model.recompute import recompute_in_backward
from everstep_trainer.parallel.shard import blocks_of

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def read_tokenizer(folder: Path, address: str) -> Tokenizer:
    """The tokenizer in a folder.

    Raises:
        RefusedError: there is none that works; `address` names it in the sentence.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise RefusedError(f"{address} holds no tokenizer that can be read: {_first_line(error)}.") from error
    if not tokenizer.is_fast:
        raise RefusedError(f"{address} holds a tokenizer without tokenizer.json; save it with its fast rules.")
    return cast("Tokenizer", tokenizer)


def read_config(folder: Path, address: str) -> PretrainedConfig:
    """The configuration of a finished model.

    Raises:
        RefusedError: it is none that a causal language model has; `address` names it in the sentence.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{address} holds no configuration that can be read: {_first_line(error)}.") from error
    named = list(config.architectures or [])
    if named and named[0] not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        raise RefusedError(f"{address} is a {named[0]}, which is no causal language model; name one that is.")
    _refuse_other_tasks(config, address)
    if getattr(config, "quantization_config", None) is not None:
        raise RefusedError(f"{address} is quantised, which cannot be trained; name the model's original weights.")
    return cast("PretrainedConfig", config)


def make_config(described: dict[str, Any], tokenizer: Tokenizer) -> PretrainedConfig:
    """The configuration for random weights. Vocabulary and special tokens follow the tokenizer.

    Raises:
        RefusedError: transformers does not know such a model.
    """
    model_type = described.get("model_type")
    if not isinstance(model_type, str):
        raise RefusedError("recipe.model.config has no model_type; write one of transformers, such as llama.")
    rest = {key: value for key, value in described.items() if key != "model_type"}
    follows = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    try:
        config = AutoConfig.for_model(model_type, **{**follows, **rest, "vocab_size": len(tokenizer)})
    except (ValueError, TypeError, KeyError, AttributeError, StrictDataclassError) as error:
        raise RefusedError(f"recipe.model.config makes no {model_type}: {_first_line(error)}.") from error
    _refuse_other_tasks(config, "recipe.model.config")
    return config


def _refuse_other_tasks(config: PretrainedConfig, address: str) -> None:
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise RefusedError(f"{address} is a {config.model_type}, which is no causal language model; name one that is.")


def build(config: PretrainedConfig, recipe: Recipe, recompute: Recompute = "none") -> nn.Module:
    """The model on the meta device, with adapters where the recipe wants them, ready to be spread and filled.

    Raises:
        RefusedError: transformers cannot build it, or the adapters find no layers.
    """
    network = make_network(config, DTYPES[recipe.precision] if recipe.model.lora is not None else torch.float32)
    blocks = blocks_of(network)
    model: nn.Module = network if recipe.model.lora is None else add_adapters(network, recipe.model.lora)
    recompute_in_backward(blocks, recompute)
    return model


def make_network(config: PretrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """The model as transformers has it, on the meta device.

    Raises:
        RefusedError: transformers cannot build it.
    """
    try:
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call] # not annotated
                config, dtype=dtype, attn_implementation="sdpa"
            )
    except (ValueError, TypeError, KeyError, ImportError) as error:
        raise RefusedError(f"The {config.model_type} of recipe.model cannot be built: {_first_line(error)}.") from error
    return cast("PreTrainedModel", network)


def most_positions(config: PretrainedConfig) -> int | None:
    """Tokens that a row may have at most, where the model has a bound."""
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    return positions if isinstance(positions, int) and positions > 0 else None


def _first_line(error: Exception) -> str:
    return f"{error}".strip().split("\n", maxsplit=1)[0].rstrip(".") or type(error).__name__
