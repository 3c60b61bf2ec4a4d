"""Models of the Hugging Face hub, `HF_ENDPOINT` with `HF_TOKEN`: the only module that asks it for anything.

A revision is resolved once, to the commit that it names then; files are fetched by that commit.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (  # type: ignore[attr-defined] # HTTPError: of whichever client it asks by
    GatedRepoError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from everstep_trainer.cache import room_for
from everstep_trainer.errors import RefusedError, StorageError

_SCHEME = "hf://"
_TIMEOUT_S = 30.0
_OWN_FOLDER = ".cache"
"""What huggingface_hub leaves beside files that it has fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file of a model on the hub."""

    name: str
    size_bytes: int
    digest: str
    """sha256 of a large file, git's own digest of a small one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model at one commit."""

    address: str
    files: tuple[HubFile, ...]


def is_of_hub(address: str) -> bool:
    """Whether the address names a model of the hub: `hf://organisation/name@revision` or `organisation/name`."""
    return address.startswith(_SCHEME) or ("://" not in address and not address.startswith(("/", ".")))


def look_up(address: str) -> HubModel:
    """The model as it is now, its address with the commit.

    Raises:
        RefusedError: there is none of this name and revision, or the token does not open it.
        StorageError: the hub does not answer.
    """
    name, revision = _parts(address)
    with _asking(address):
        found = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=_TIMEOUT_S)
    files = tuple(
        HubFile(
            name=file.rfilename,
            size_bytes=file.size or 0,
            digest=file.lfs.sha256 if file.lfs is not None else file.blob_id or "",
        )
        for file in sorted(found.siblings or [], key=lambda file: file.rfilename)
    )
    return HubModel(address=f"{_SCHEME}{name}@{found.sha}", files=files)


def download(address: str, file: str, folder: Path) -> None:
    """Have the file of a model at a commit in the folder.

    Raises:
        RefusedError: the model is gone, or the token does not open it any more.
        StorageError: the hub does not answer.
    """
    name, commit = _parts(address)
    with _asking(address), room_for(folder):
        hf_hub_download(name, file, revision=commit, local_dir=folder, etag_timeout=_TIMEOUT_S)
    shutil.rmtree(folder / _OWN_FOLDER, ignore_errors=True)


def _parts(address: str) -> tuple[str, str | None]:
    name, _, revision = address.removeprefix(_SCHEME).partition("@")
    return name, revision or None


@contextmanager
def _asking(address: str) -> Iterator[None]:
    try:
        yield
    except GatedRepoError as error:
        raise RefusedError(
            f"{address} is open to those alone who have accepted its terms; accept them on its page, and give the token"
            " as HF_TOKEN in spec.credentials."
        ) from error
    except RevisionNotFoundError as error:
        raise RefusedError(f"{address} has no such revision; correct what is behind the @.") from error
    except RepositoryNotFoundError as error:
        raise RefusedError(
            f"{address} is no model of the hub, or a private one; correct the name, or give a token that may read it as"
            " HF_TOKEN in spec.credentials."
        ) from error
    except OfflineModeIsEnabled as error:
        raise RefusedError(
            f"{address} is a model of the hub, which HF_HUB_OFFLINE forbids to ask; write the address of a copy, such"
            " as s3://bucket/models/name."
        ) from error
    except (HTTPError, OSError) as error:
        raise StorageError(f"The hub does not give {address}: {error}") from error
