"""The files of a model or tokenizer: listed once for the job, fetched once for each cache.

A file is identified by its name, size and tag, and after it was fetched by its sha256: all workers of all worlds
compute with the same bytes or not at all.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from everstep_api.wire.decode import decode, encode
from everstep_trainer.cache import locked, room_for, write_whole
from everstep_trainer.errors import RefusedError, StorageError
from everstep_trainer.model.hub import download, is_of_hub, look_up
from everstep_trainer.objects import Entry, Store

CONFIG = "config.json"
_LISTING = ".fetched.json"
_BLOCK_BYTES = 64 * 1024 * 1024
_WEIGHTS = {".safetensors"}
_OTHERS = {".json", ".jinja", ".model", ".txt"}
"""Configuration, chat template, sentencepiece's rules, merges and vocabulary."""
_PICKLES = {".bin", ".pt", ".pth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file, as it was when the job first started."""

    name: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """The files of a model or tokenizer."""

    address: str
    files: tuple[ModelFile, ...]

    @property
    def digest(self) -> str:
        """A name for exactly these files."""
        return hashlib.sha256(encode(self)).hexdigest()[:32]

    def without_weights(self) -> "ModelFolder":
        """The same without the weights: all that a plan reads."""
        return replace(
            self, files=tuple(file for file in self.files if PurePosixPath(file.name).suffix not in _WEIGHTS)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The sha256 of each file by name, as the first fetch found them."""

    sha256: dict[str, str]


def resolve(address: str, *, with_weights: bool) -> ModelFolder:
    """The files of a folder, sorted by name, without those that training does not read.

    Raises:
        RefusedError: the address is none that can be read, or there is no model or tokenizer in it.
    """
    found = _of_hub(address) if is_of_hub(address) else _of_store(address)
    there = [file for file in found.files if "/" not in file.name]
    _refuse_incomplete(address, [file.name for file in there], with_weights=with_weights)
    wanted = _OTHERS | _WEIGHTS if with_weights else _OTHERS
    return replace(found, files=tuple(file for file in there if PurePosixPath(file.name).suffix in wanted))


def _of_store(address: str) -> ModelFolder:
    return ModelFolder(address=address, files=tuple(_file(entry) for entry in Store.at(address).entries()))


def _of_hub(address: str) -> ModelFolder:
    found = look_up(address)
    files = tuple(ModelFile(name=file.name, size_bytes=file.size_bytes, etag=file.digest) for file in found.files)
    return ModelFolder(address=found.address, files=files)


def _file(entry: Entry) -> ModelFile:
    return ModelFile(name=entry.name, size_bytes=entry.size_bytes, etag=entry.etag or str(entry.modified_s))


def _refuse_incomplete(address: str, names: Sequence[str], *, with_weights: bool) -> None:
    suffixes = {PurePosixPath(name).suffix for name in names}
    if not names:
        raise RefusedError(f"{address} holds no files; correct the address, or put a model there.")
    if with_weights and CONFIG not in names:
        raise RefusedError(f"{address} holds no {CONFIG}; put the files of a model there as transformers saves them.")
    if with_weights and not suffixes & _WEIGHTS:
        remedy = "save the model with safe_serialization" if suffixes & _PICKLES else "put the model's weights there"
        raise RefusedError(f"{address} holds no *.safetensors; {remedy}.")
    if not with_weights and "tokenizer.json" not in names:
        raise RefusedError(f"{address} holds no tokenizer.json; save the tokenizer there with its fast rules.")


def fetch(folder: ModelFolder, cache: Path) -> Path:
    """Have the files in the cache, and return where. Whoever comes first fetches them; the others wait at a lock.

    Raises:
        RefusedError: a file is not what it was when the job first started.
        StorageError: the store does not give what it lists.
    """
    path = cache / "models" / folder.digest
    with locked(cache / "locks" / folder.digest):
        if (path / _LISTING).exists():
            return path
        if is_of_hub(folder.address):
            sha256 = {file.name: _download(folder.address, file, path) for file in folder.files}
        else:
            store = Store.at(folder.address)
            sha256 = {file.name: _fetch_file(store, file, path) for file in folder.files}
        write_whole(path / _LISTING, encode(Fetched(sha256=sha256)))
    return path


def fetched(path: Path) -> dict[str, str]:
    """The sha256 of each file in a folder of the cache."""
    listing: Fetched = decode((path / _LISTING).read_bytes(), Fetched)
    return listing.sha256


def _fetch_file(store: Store, file: ModelFile, path: Path) -> str:
    """Copy one file in blocks, and return its sha256."""
    entry = store.head(file.name)
    if entry is None or _file(entry) != file:
        raise RefusedError(
            f"{store.uri}/{file.name} changed after the job had started; put the old one back, or apply the job anew."
        )
    path.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    draft = path / f".{file.name}.draft"
    with room_for(path), draft.open("wb") as out:
        for start in range(0, file.size_bytes, _BLOCK_BYTES):
            block = store.get_range(file.name, start, min(_BLOCK_BYTES, file.size_bytes - start))
            digest.update(block)
            out.write(block)
    draft.replace(path / file.name)
    return digest.hexdigest()


def _download(address: str, file: ModelFile, path: Path) -> str:
    """Have one file of the hub, and return its sha256."""
    download(address, file.name, path)
    with (path / file.name).open("rb") as held:
        return hashlib.file_digest(held, "sha256").hexdigest()


def weight_files(path: Path) -> dict[str, Path]:
    """Where each tensor is, by its name.

    Raises:
        StorageError: the index names a file that is not there.
    """
    index = path / "model.safetensors.index.json"
    if index.exists():
        shards: dict[str, str] = json.loads(index.read_text())["weight_map"]
        missing = sorted({name for name in shards.values() if not (path / name).exists()})
        if missing:
            raise StorageError(f"{index.name} names {missing[0]}, which is not beside it.")
        return {tensor: path / name for tensor, name in shards.items()}
    return {name: file for file in sorted(path.glob("*.safetensors")) for name in _names(file)}


def _names(file: Path) -> list[str]:
    with file.open("rb") as opened:
        head = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    return [name for name in head if name != "__metadata__"]
