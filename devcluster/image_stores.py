"""The images that buildah, podman or docker holds on this machine."""

import hashlib
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.problem import DevclusterError

REPOSITORY = "localhost/everstep"
"""What the names of images begin with that are built here; no registry serves them."""

_QUESTION_TIMEOUT_S = 60.0
_SAVE_TIMEOUT_S = 1800.0  # an image with torch has 6 GB


@dataclass(frozen=True, slots=True, kw_only=True)
class _Store:
    tool: str
    identify: Sequence[str]
    save: Sequence[str]


# The push of buildah and podman puts the very name into the archive that was asked for; podman's save would put
# localhost/ before a short one, which a pod that says the short name does not find.
_PUSH = ("push", "{image}", "docker-archive:{target}:{image}")
_STORES = (
    _Store(tool="buildah", identify=("inspect", "--type=image", "--format={{.FromImageID}}"), save=_PUSH),
    _Store(tool="podman", identify=("image", "inspect", "--format={{.Id}}"), save=_PUSH),
    _Store(
        tool="docker", identify=("image", "inspect", "--format={{.Id}}"), save=("save", "--output={target}", "{image}")
    ),
)


def save(image: str, folder: Path) -> Path:
    """Return an archive in `folder` of the image that a builder's store has under this name.

    One that was saved before is returned as it is; an older image of the same name goes.

    Raises:
        DevclusterError: no store has it, or it cannot be saved.
    """
    present = [store for store in _STORES if shutil.which(store.tool)]
    if not present:
        raise DevclusterError(
            f"{image} is no file, and there is no buildah, podman or docker to ask for an image of that name; "
            "install one of them, or name an archive that `docker save` made elsewhere."
        )
    answers = []
    for store in present:
        asked = _run([store.tool, *store.identify, image], timeout_s=_QUESTION_TIMEOUT_S)
        if asked.returncode == 0:
            return _save(store, image, asked.stdout.strip(), folder)
        answers.append(f"  {store.tool}: {_last_line(asked.stderr)}")
    said = "\n".join(answers)
    raise DevclusterError(f"{image} is no file and no image here; build it first, or correct the name.\n{said}")


def is_stored(tool: str, image: str) -> bool:
    """Whether buildah, podman or docker (`tool`) has an image of this name."""
    store = next(store for store in _STORES if store.tool == tool)
    return _run([tool, *store.identify, image], timeout_s=_QUESTION_TIMEOUT_S).returncode == 0


def forget_older(tool: str, image: str, *, kept: int) -> None:
    """Remove older images that have the name of `image` with another tag, all but the newest `kept` with it.

    One that a container still uses stays.
    """
    repository = image.rpartition(":")[0]
    command = [
        tool,
        "images",
        "--format={{.Repository}}:{{.Tag}}" if tool == "docker" else "--format={{.Name}}:{{.Tag}}",
    ]
    listed = _run([*command, f"--filter=reference={repository}"], timeout_s=_QUESTION_TIMEOUT_S).stdout.split()
    others = [name for name in listed if name != image]  # they are listed from the newest
    if others[kept - 1 :]:
        _run([tool, "rmi", *others[kept - 1 :]], timeout_s=_SAVE_TIMEOUT_S)


def load(archive: Path) -> None:
    """Put the images of an archive into docker's store, or podman's, under the names that they have.

    Raises:
        DevclusterError: there is neither, or it refuses the archive.
    """
    tool = next((tool for tool in ("docker", "podman") if shutil.which(tool)), None)
    if tool is None:
        raise DevclusterError(f"There is no docker or podman to hold the image of {archive}; install one of them.")
    loaded = _run([tool, "load", f"--input={archive}"], timeout_s=_SAVE_TIMEOUT_S)
    if loaded.returncode != 0:
        raise DevclusterError(f"{tool} cannot load {archive}: {_last_line(loaded.stderr)}")


def _save(store: _Store, image: str, identity: str, folder: Path) -> Path:
    prefix = hashlib.sha256(image.encode()).hexdigest()[:16]
    target = folder / f"{prefix}-{identity.removeprefix('sha256:')[:16]}.tar"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".draft-{uuid.uuid4().hex}.tar"
    try:
        command = [part.format(image=image, target=draft) for part in store.save]
        saved = _run([store.tool, *command], timeout_s=_SAVE_TIMEOUT_S)
        if saved.returncode != 0:
            raise DevclusterError(f"{store.tool} cannot save {image} to {folder}: {_last_line(saved.stderr)}")
        for older in folder.glob(f"{prefix}-*.tar"):
            older.unlink()
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _run(command: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise DevclusterError(
            f"`{' '.join(command)}` gave no answer in {timeout_s:.0f} s; run it to see why."
        ) from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
