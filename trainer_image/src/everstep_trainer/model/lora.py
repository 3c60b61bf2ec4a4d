"""Low-rank adapters (Hu et al. 2021), made by peft: W x + scale B A x, of which A and B alone are trained."""

import math
import warnings
from dataclasses import dataclass
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from everstep_api.model import Lora
from everstep_trainer.errors import RefusedError

ADAPTER = "default"
"""The name by which peft knows the one adapter."""
_PREFIX = "base_model.model."


def lora_config(lora: Lora, network: nn.Module) -> LoraConfig:
    """The recipe's words as peft's, for this model."""
    targets = lora.target_modules
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets[0] if targets == ("all-linear",) else list(targets),
        modules_to_save=list(lora.modules_to_save) or None,
        use_rslora=lora.rslora,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in network.modules()),  # GPT-2's kind of layer
        task_type="CAUSAL_LM",
    )


def add_adapters(network: PreTrainedModel, lora: Lora) -> PeftModel:
    """The model with adapters in fp32; its own weights are frozen.

    Raises:
        RefusedError: no layer has such a name.
    """
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5 by a name that it will lose
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
            )
            adapted = get_peft_model(network, lora_config(lora, network))
    except ValueError as error:
        wanted = ", ".join([*lora.target_modules, *lora.modules_to_save])
        kinds = sorted({name.rpartition(".")[2] for name, module in network.named_modules() if _is_linear(module)})
        raise RefusedError(
            f"recipe.model.lora finds no layers to adapt by {wanted}; write all-linear, or names out of"
            f" {', '.join(kinds)}."
        ) from error
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return cast("PeftModel", adapted)  # of the kinds that peft may return


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightName:
    """What a weight of an adapted model is."""

    base: str
    """Name of the model's own weight, without what peft adds."""
    role: str
    """`own`, `saved` (trained in full beside the own one), or the name of an adapter's matrix."""


def weight_name(name: str) -> WeightName:
    """What the weight of this name is; a model without adapters has own weights alone."""
    plain = name.removeprefix(_PREFIX)
    for matrix in ("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B"):
        layer, found, _ = plain.partition(f".{matrix}.{ADAPTER}")
        if found:
            return WeightName(base=f"{layer}.weight", role=matrix)
    if f".modules_to_save.{ADAPTER}." in plain:
        return WeightName(base=plain.replace(f".modules_to_save.{ADAPTER}", ""), role="saved")
    return WeightName(base=plain.replace(".base_layer.", ".").replace(".original_module.", "."), role="own")


def initial_matrix(role: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """An adapter's matrix at the beginning, as peft has it: A random and B zero, so that the model is as it was."""
    matrix = torch.zeros(shape, dtype=torch.float32)
    if role == "lora_A":
        nn.init.kaiming_uniform_(matrix, a=math.sqrt(5), generator=generator)
    elif role == "lora_embedding_B":
        nn.init.normal_(matrix, generator=generator)
    return matrix


def scale_of(lora: Lora) -> float:
    """By what the adapters' product is multiplied."""
    return lora.alpha / (math.sqrt(lora.rank) if lora.rslora else lora.rank)


def merged(own: Tensor, first: Tensor, second: Tensor, lora: Lora, *, is_transposed: bool) -> Tensor:
    """The own weight with its adapter added, computed in fp32."""
    update = second.float() @ first.float()
    return own.float() + scale_of(lora) * (update.T if is_transposed else update)


def adapter_key(base: str, role: str) -> str:
    """The name under which peft saves a trained weight."""
    layer = base.removesuffix(".weight")
    if role == "saved":
        return f"{_PREFIX}{base}"
    return f"{_PREFIX}{layer}.{role}" + ("" if "embedding" in role else ".weight")
