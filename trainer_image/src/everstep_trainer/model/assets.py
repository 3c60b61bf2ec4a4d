"""What a job needs of its model before there is one: tokenizer, chat template, configuration, and where weights are."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import PretrainedConfig

from everstep_api.recipe import Recipe
from everstep_trainer.data.masks import Tokenizer
from everstep_trainer.errors import RefusedError
from everstep_trainer.model.build import make_config, make_network, read_config, read_tokenizer
from everstep_trainer.model.source import ModelFolder, fetch, fetched, resolve
from everstep_trainer.model.weights import FileValues, OriginalValues, fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The folders that a job reads; resolved once for the job, and part of its plan."""

    model: ModelFolder | None = None
    """None for random weights."""
    tokenizer: ModelFolder

    def without_weights(self) -> "Sources":
        """The same without the weights: all that a plan reads."""
        model = self.model.without_weights() if self.model is not None else None
        return Sources(model=model, tokenizer=self.tokenizer.without_weights())


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """The same on this worker."""

    folder: Path | None
    """Of the model's files; None for random weights."""
    tokenizer: Tokenizer
    """It has the chat template that the recipe wants."""
    config: PretrainedConfig
    sha256: dict[str, str]
    """Of all files, by folder and name."""

    @property
    def template(self) -> str | None:
        """The chat template, if there is one."""
        template = self.tokenizer.chat_template
        return template.get("default") if isinstance(template, dict) else template


def resolve_sources(recipe: Recipe) -> Sources:
    """List the files that the recipe names.

    Raises:
        RefusedError: they are not there, or cannot be read by this release.
    """
    named, own = recipe.model.source, recipe.model.tokenizer
    model = resolve(named, with_weights=True) if named is not None else None
    if own is not None:
        return Sources(model=model, tokenizer=resolve(own.source, with_weights=False))
    if model is None:
        raise RefusedError("recipe.model.tokenizer is missing, and config has none beside it; write its source.")
    return Sources(model=model, tokenizer=model)


def load(sources: Sources, recipe: Recipe, cache: Path) -> Assets:
    """Have the files in the cache, and read all of them but the weights.

    Raises:
        RefusedError: they are not what the recipe needs.
    """
    folder = fetch(sources.model, cache) if sources.model is not None else None
    tokenizer_folder = fetch(sources.tokenizer, cache)
    tokenizer = read_tokenizer(tokenizer_folder, sources.tokenizer.address)
    wanted = recipe.model.chat_template
    if wanted is not None:
        if wanted.inline is None:
            raise RefusedError(
                "recipe.model.chatTemplate.configMapKeyRef is read by the operator of a cluster alone; write the"
                " template itself as inline."
            )
        tokenizer.chat_template = wanted.inline
    if folder is not None and sources.model is not None:
        config = read_config(folder, sources.model.address)
    else:
        config = make_config(recipe.model.config.manifest() if recipe.model.config else {}, tokenizer)
    _refuse_small_vocabulary(config, tokenizer)
    folders = {"model": folder, "tokenizer": tokenizer_folder}
    sha256 = {
        f"{role}/{name}": digest
        for role, path in folders.items()
        if path is not None
        for name, digest in fetched(path).items()
    }
    return Assets(folder=folder, tokenizer=tokenizer, config=config, sha256=sha256)


def _refuse_small_vocabulary(config: PretrainedConfig, tokenizer: Tokenizer) -> None:
    words = config.get_text_config().vocab_size
    if len(tokenizer) > words:
        raise RefusedError(
            f"The tokenizer has {len(tokenizer)} tokens but the model has embeddings for {words}; name the model's own"
            " tokenizer."
        )


def give_values(model: nn.Module, assets: Assets, recipe: Recipe, *, with_trained: bool = True) -> None:
    """Fill this rank's part of a model that is spread and has memory, as it is at the beginning of the job.

    Without the trained weights for a state that is restored from a checkpoint.

    Raises:
        RefusedError: the model's files do not fit its configuration.
    """
    originals = OriginalValues(make_network(assets.config, torch.float32), seed=recipe.seed)
    values = FileValues(assets.folder, str(recipe.model.source)) if assets.folder is not None else originals
    fill(model, values, originals, seed=recipe.seed, with_trained=with_trained)
