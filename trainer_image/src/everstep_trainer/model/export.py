"""Writes the trained model for transformers: weights, configuration, tokenizer with its template, and a card.

The ranks gather one weight at a time; the first one writes. With adapters the own weight and its two matrices become
one (`merged`), or the matrices are written as peft has them (`adapter`).
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from torch import Tensor, nn

from everstep_api.job import Output
from everstep_api.model import Lora
from everstep_api.recipe import Recipe
from everstep_trainer.model.assets import Assets
from everstep_trainer.model.build import DTYPES
from everstep_trainer.model.card import card, ledger_digest
from everstep_trainer.model.files import WeightFiles
from everstep_trainer.model.lora import adapter_key, lora_config, merged, weight_name
from everstep_trainer.model.weights import NETWORK
from everstep_trainer.objects import Store
from everstep_trainer.parallel.shard import whole
from everstep_trainer.tasks.causal_lm import causal_of
from everstep_trainer.training import Training

FOLDER = "model"
"""Below the job's folder, where the recipe names no other address."""
ADAPTER_FOLDER = "adapter"
"""Where the adapters are when the merged model is written too."""
CARD = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One weight of the model."""

    parameter: nn.Parameter
    base: str
    role: str
    is_transposed: bool
    """Whether the layer holds its matrix the other way round, as embeddings and GPT-2's layers do."""


def export(training: Training) -> str:
    """Write the trained model with all ranks, and return its address.

    Raises:
        StorageError: a file could not be written.
    """
    context, recipe = training.context, training.context.recipe
    wanted = context.spec.output
    into = Store.at(wanted.uri) if wanted.uri is not None else context.run.under(FOLDER)
    is_first = context.world.place.is_first
    scratch = context.cache / "export" / context.job.uid
    write_model(training.model, training.assets, recipe, wanted, into=into, scratch=scratch, is_first=is_first)
    if is_first:
        before, after = training.counters.before, training.counters.evaluation
        text = card(
            training.plan,
            recipe,
            name=context.job.name,
            step=training.counters.step,
            metrics=after.metrics if after is not None else {},
            before=before.metrics if before is not None else {},
            ledger=ledger_digest(context.run),
        )
        into.put(CARD, text.encode())
    return into.uri


def write_model(
    model: nn.Module, assets: Assets, recipe: Recipe, wanted: Output, *, into: Store, scratch: Path, is_first: bool
) -> None:
    """Write everything but the card. All ranks call this; the first one alone needs the store.

    What is there already is written over: the model of a world that was cut off while it wrote.

    Raises:
        StorageError: a file could not be written.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    weights = list(_weights(model))
    dtype = DTYPES[wanted.dtype]
    if recipe.model.lora is None or wanted.weights != "adapter":
        _write_merged(weights, recipe.model.lora, dtype, into, scratch, is_first=is_first)
        if is_first:
            _write_configuration(model, assets, dtype, into, scratch)
    if recipe.model.lora is not None and wanted.weights != "merged":
        folder = into if wanted.weights == "adapter" else into.under(ADAPTER_FOLDER)
        config = lora_config(recipe.model.lora, model)
        config.base_model_name_or_path = recipe.model.source
        _write_adapter(weights, config, dtype, folder, scratch, is_first=is_first)
    if is_first:
        assets.tokenizer.save_pretrained(scratch / "tokenizer")
        _put_folder(scratch / "tokenizer", into)
        shutil.rmtree(scratch, ignore_errors=True)


def _weights(model: nn.Module) -> Iterator[Weight]:
    for name, parameter in model.named_parameters():
        known = weight_name(name.removeprefix(NETWORK))
        layer = model.get_submodule(name.partition(".base_layer.")[0]) if ".base_layer." in name else model
        is_embedding = isinstance(getattr(layer, "base_layer", None), nn.Embedding)
        is_transposed = is_embedding or bool(getattr(layer, "fan_in_fan_out", False))
        yield Weight(parameter=parameter, base=known.base, role=known.role, is_transposed=is_transposed)


def _write_merged(
    weights: list[Weight], lora: Lora | None, dtype: torch.dtype, into: Store, scratch: Path, *, is_first: bool
) -> None:
    replaced = {weight.base for weight in weights if weight.role == "saved"}
    written = [
        weight for weight in weights if weight.role == "saved" or (weight.role == "own" and weight.base not in replaced)
    ]
    matrices = {
        (weight.base, weight.role[-1]): whole(weight.parameter)
        for weight in weights
        if weight.role not in {"own", "saved"}
    }
    sizes = {weight.base: weight.parameter.numel() * dtype.itemsize for weight in written}
    files = WeightFiles(into, scratch, sizes, stem="model")
    for weight in written:
        value = whole(weight.parameter)
        first, second = matrices.get((weight.base, "A")), matrices.get((weight.base, "B"))
        if not is_first:
            continue
        if lora is not None and first is not None and second is not None:
            value = merged(value, first, second, lora, is_transposed=weight.is_transposed)
        files.add(weight.base, value.to(dtype))
    if is_first:
        files.finish()


def _write_adapter(
    weights: list[Weight], config: LoraConfig, dtype: torch.dtype, into: Store, scratch: Path, *, is_first: bool
) -> None:
    trained = {adapter_key(weight.base, weight.role): weight for weight in weights if weight.role != "own"}
    sizes = {name: weight.parameter.numel() * dtype.itemsize for name, weight in trained.items()}
    files = WeightFiles(into, scratch, sizes, stem="adapter_model")
    for name, weight in trained.items():
        value: Tensor = whole(weight.parameter)
        if is_first:
            files.add(name, value.to(dtype))
    if is_first:
        config.inference_mode = True
        config.save_pretrained(str(scratch / "adapter"))
        _put_folder(scratch / "adapter", into)


def _write_configuration(model: nn.Module, assets: Assets, dtype: torch.dtype, into: Store, scratch: Path) -> None:
    config = assets.config
    config.architectures = [type(causal_of(model.get_submodule(NETWORK.rstrip(".")))).__name__]
    config.dtype = dtype
    config.save_pretrained(scratch / "config")
    _put_folder(scratch / "config", into)


def _put_folder(folder: Path, into: Store) -> None:
    for path in sorted(folder.iterdir()):
        into.put(path.name, path)
