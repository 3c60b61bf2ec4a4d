"""Opens the token stores of a job: which of their documents are trained on, which are held out, in which rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from everstep_api.recipe import Recipe
from everstep_trainer.data.order import Order, Share, is_held_out, weight_of
from everstep_trainer.data.prepare import Preparation
from everstep_trainer.data.rows import Corpus, Packer
from everstep_trainer.data.store import INDEX, Counts, Index, TokenStore
from everstep_trainer.errors import RefusedError, StorageError
from everstep_trainer.objects import Store

STORES = "data"
"""The folder of all token stores, below the storage."""

Role = Literal["train", "validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSource:
    """A source as a job uses it."""

    address: str
    role: Role
    weight: float
    preparation: Preparation
    documents: int
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Packers:
    """What makes the rows of a job."""

    training: Packer
    validation: Packer | None
    """None where nothing is held out."""


def open_packers(
    sources: Sequence[PlannedSource], storage: Store, cache: Path, recipe: Recipe, *, row_length: int
) -> Packers:
    """Open all stores through the cache.

    Raises:
        RefusedError: nothing is left to train on.
        StorageError: a store is gone.
    """
    stores = storage.under(STORES)
    opened = [(source, _open(source, stores, cache)) for source in sources]
    fraction = recipe.data.validation.fraction or 0.0
    trained, held_out, shares = [], [], []
    for source, store in opened:
        if source.role == "validation":
            held_out.append((store, np.arange(len(store.lengths), dtype=np.int64)))
            continue
        out = is_held_out(store.fingerprints, fraction)
        trained.append((store, np.flatnonzero(~out)))
        held_out.append((store, np.flatnonzero(out)))
        shares.append(Share(documents=int((~out).sum()), weight=weight_of(source.weight)))
    order = Order(shares, seed=recipe.seed)
    if order.size(0) == 0:
        raise RefusedError(
            f"recipe.data has {sum(source.documents for source in sources)} documents, of which none is left to train"
            f" on in an epoch (validation.fraction {fraction}, weights {[source.weight for source in sources]}); add"
            " data, hold out less, or raise a weight."
        )
    validation = Corpus(held_out)
    packing = recipe.data.packing
    return Packers(
        training=Packer(Corpus(trained), order, seed=recipe.seed, row_length=row_length, packing=packing),
        validation=Packer(validation, None, seed=recipe.seed, row_length=row_length, packing=packing)
        if len(validation)
        else None,
    )


def _open(source: PlannedSource, stores: Store, cache: Path) -> TokenStore:
    digest = source.preparation.digest
    text = stores.under(digest).find(INDEX)
    if text is None:
        raise StorageError(
            f"The tokens of {source.address} are gone from {stores.uri}/{digest}; put them back, or delete the job and"
            " apply it anew."
        )
    return TokenStore.open(stores, digest, Index.from_json(text), cache)
