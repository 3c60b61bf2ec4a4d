"""Any job cut so small that it is tried in a minute: its model to two layers of random weights, its data to a sample.

What stays is what tends to be wrong: the tokenizer and the chat template, the data's addresses and format, the storage
and its keys. Nothing of the job is touched by it: the trial has a name of its own, and writes its model to its own
folder.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from everstep_api.job import LONGEST_NAME
from everstep_api.resource import Manifest
from everstep_cli.job_options import JobError
from everstep_trainer.errors import TrainerError
from everstep_trainer.model.source import CONFIG, fetch, resolve

LAYERS = 2
STEPS = 20
LONGEST_ROW = 256
"""Tokens; two busy cores take a second for a row of a small model."""
TRAINED_DOCUMENTS = 256
HELD_OUT_DOCUMENTS = 16

DESCRIPTION = (
    f"{LAYERS} layers of random weights, rows of up to {LONGEST_ROW} tokens, {TRAINED_DOCUMENTS} documents of each"
    " source; tokenizer, template and storage are the job's own"
)
"""The trial for people."""

_SUFFIX = "-tiny"

_COUNTS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")
"""How kinds of models call their number of layers."""
_OF_THE_WEIGHTS = ("_name_or_path", "architectures", "dtype", "quantization_config", "torch_dtype")
"""What a configuration says of the weights that were saved with it, and not of the model's form."""


def shrunk(job: Manifest, *, steps: int | None) -> Manifest:
    """The job as a trial: right if the job is, and of the same kind.

    Raises:
        JobError: the model has no configuration that can be read.
    """
    spec, metadata = job["spec"], job["metadata"]
    recipe = spec["recipe"]
    model = _model(recipe["model"])
    tiny = {
        **recipe,
        "model": model,
        "data": _data(recipe["data"], positions=model["config"].get("max_position_embeddings")),
        "batch": {"microSize": 1},
        "duration": {"steps": steps or STEPS},
        "schedule": {name: value for name, value in recipe.get("schedule", {}).items() if name != "warmup"},
    }
    # Without `output`: the trial's model lies in the trial's own folder.
    rest = {name: value for name, value in spec.items() if name != "output"}
    return {
        **job,
        "metadata": {**metadata, "name": f"{metadata['name'][: LONGEST_NAME - len(_SUFFIX)]}{_SUFFIX}"},
        "spec": {**rest, "recipe": tiny},
    }


def cut(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with two layers; what it lists for each layer it lists for two."""
    kept = {name: value for name, value in config.items() if name not in _OF_THE_WEIGHTS}
    layers = next((kept[name] for name in _COUNTS if isinstance(kept.get(name), int)), None)
    if layers is not None:
        kept.update({name: min(LAYERS, kept[name]) for name in _COUNTS if isinstance(kept.get(name), int)})
        each = [name for name, value in kept.items() if isinstance(value, list) and len(value) == layers]
        kept.update({name: kept[name][:LAYERS] for name in each})
    if isinstance(kept.get("text_config"), dict):
        kept["text_config"] = cut(kept["text_config"])
    return kept


def _model(model: Manifest) -> Manifest:
    """Without adapters, which random weights have no use for."""
    kept = {name: value for name, value in model.items() if name not in {"source", "config", "lora"}}
    if "config" in model:
        return {**kept, "config": cut(model["config"])}
    source = model["source"]
    return {**kept, "config": cut(_config_at(source)), "tokenizer": model.get("tokenizer", {"source": source})}


def _config_at(address: str) -> Mapping[str, Any]:
    try:
        folder = resolve(address, with_weights=True)
        wanted = replace(folder, files=tuple(file for file in folder.files if file.name == CONFIG))
        with tempfile.TemporaryDirectory(prefix="everstep-tiny-") as scratch:
            config: Any = json.loads((fetch(wanted, Path(scratch)) / CONFIG).read_bytes())
    except (TrainerError, ValueError) as error:
        raise JobError(f"The configuration of {address} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise JobError(f"{address}/{CONFIG} is no configuration of a model; put the one there that transformers saved.")
    return config


def _data(data: Manifest, *, positions: Any) -> Manifest:
    held_out = data.get("validation", {})
    if "sources" in held_out:
        held_out = {"sources": [_sample(source, HELD_OUT_DOCUMENTS) for source in held_out["sources"]]}
    lengths = (LONGEST_ROW, data.get("maxLength"), positions)
    return {
        **data,
        "train": [_sample(source, TRAINED_DOCUMENTS) for source in data["train"]],
        "maxLength": min(length for length in lengths if isinstance(length, int)),
        **({"validation": held_out} if held_out else {}),
    }


def _sample(source: Manifest, most: int) -> Manifest:
    return {**source, "maxSamples": min(most, source.get("maxSamples", most))}
