"""Images as docker archives, which containerd, docker and podman all read: no registry is needed.

Our own programs are one static file each and need no builder. Their archives have the same bytes whenever they are
made, and their names say what is in them: a node that has the name has the program. All other images come from
whoever builds them on this machine, as an archive or by the name that buildah, podman or docker knows.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import tarfile
import uuid
from pathlib import Path

from devcluster import image_layers, image_stores
from devcluster.build import binaries
from devcluster.problem import DevclusterError
from devcluster.settings import CACHE

_REPOSITORY = "localhost/everstep-devcluster"

PAUSE = f"{_REPOSITORY}/pause:1"
"""The image that holds each pod's namespaces; its name is fixed, because containerd's configuration has it."""

USER = 65532
"""Who our programs run as: the number that images without a user database call `nonroot`."""

_PROGRAMS = ("pause", "probe", "s3")
_EPOCH = "1970-01-01T00:00:00Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the kernel's words and those of images

# -- our own ----------------------------------------------------------------------------------------------------------


def archive(program: str, *, folder: Path | None = None) -> Path:
    """Return the archive of the image that holds one of our programs: `pause`, `probe` or `s3`.

    Args:
        program: its name among the binaries.
        folder: where the binaries lie; absent: where they are built.
    """
    if program not in _PROGRAMS:
        raise DevclusterError(f"There is no image of {program}; choose {', '.join(_PROGRAMS)}.")
    folder = folder or binaries()
    target = folder / "images" / f"{program}.tar"
    if not target.is_file():
        _write(target, folder / program)
    return target


def _write(target: Path, program: Path) -> None:
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": _EPOCH,
            "config": {"Entrypoint": [f"/{program.name}"], "User": f"{USER}:{USER}"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created": _EPOCH, "created_by": "python -m devcluster"}],
        },
        sort_keys=True,
    ).encode()
    digest = hashlib.sha256(config).hexdigest()
    name = PAUSE if program.name == "pause" else f"{_REPOSITORY}/{program.name}:{digest[:16]}"
    files = {f"{layer_digest}/layer.tar": layer, f"{digest}.json": config}
    manifest = [{"Config": f"{digest}.json", "RepoTags": [name], "Layers": [f"{layer_digest}/layer.tar"]}]
    target.parent.mkdir(exist_ok=True)
    draft = target.with_name(f".draft-{uuid.uuid4().hex}")  # nodes boot at the same time
    draft.write_bytes(_tar({**files, "manifest.json": json.dumps(manifest).encode()}))
    draft.replace(target)


def _tar(files: dict[str, bytes], *, mode: int = 0o644) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)  # owner root and time 0, so that the bytes depend on the content alone
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


# -- of others --------------------------------------------------------------------------------------------------------


def find(image: str) -> Path:
    """Return an archive of `image`: the file of that path, or what buildah, podman or docker has under that name.

    Raises:
        DevclusterError: there is neither, or the file is no archive of a named image.
    """
    path = Path(image)
    if path.is_file():
        name_of(path)
        return path
    if image.endswith((".tar", ".tar.gz", ".tgz")) or image.startswith((".", "/")):
        raise DevclusterError(f"There is no archive {image}; make it with `docker save --output={image} NAME`.")
    return image_stores.save(image, CACHE / "images")


def bring(image: str, folder: Path) -> tuple[Path, str]:
    """Keep an image in `folder` for the nodes of a cluster; return what they import, and the name that pods use.

    What replaces an image of the same name is the only one of that name there. From buildah's store come layers
    (`image_layers.py`), from everywhere else an archive.

    Raises:
        DevclusterError: there is no such image, or no room.
    """
    stored = None if Path(image).is_file() else image_layers.find(image)
    kept = stored.keep(folder) if stored else keep(find(image), folder)
    name = stored.description.name if stored else name_of(kept)
    for other in kept_in(folder):
        if other.stem == kept.stem and other != kept:
            other.unlink()
    return kept, name


def kept_in(folder: Path) -> list[Path]:
    """Return what a node imports to have every image that was brought to `folder`."""
    return sorted([*folder.glob("[!.]*.tar"), *folder.glob(f"[!.]*{image_layers.SUFFIX}")])


def keep(found: Path, folder: Path) -> Path:
    """Return a copy of an archive in `folder`, where it replaces the one kept before under the image's name."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{hashlib.sha256(name_of(found).encode()).hexdigest()[:16]}.tar"
    if target.exists() and target.samefile(found):
        return target
    draft = folder / f".draft-{uuid.uuid4().hex}"
    try:
        if found.is_relative_to(CACHE):
            os.link(found, draft)  # it is written once, by us
        else:
            shutil.copyfile(found, draft)  # its owner may write it again while a node reads
        draft.replace(target)
    except OSError as error:
        raise DevclusterError(f"{found} cannot be kept in {folder}: {error.strerror}; make room there.") from error
    finally:
        draft.unlink(missing_ok=True)
    return target


def name_of(found: Path) -> str:
    """Return the name that pods use for the image in an archive; for the first image, if it holds several.

    Raises:
        DevclusterError: the file is no archive of images, or its image has no name.
    """
    try:
        with tarfile.open(found) as tar:
            member = tar.extractfile("manifest.json")
            listed = json.load(member) if member else []
    except (tarfile.TarError, KeyError, ValueError, OSError):
        listed = []
    if not listed:
        raise DevclusterError(f"{found} is no docker archive; make one with `docker save --output=FILE.tar NAME`.")
    names: list[str] = [name for image in listed for name in image.get("RepoTags") or []]
    if not names:
        raise DevclusterError(
            f"The image in {found} has no name for pods to use; save it by its name: "
            f"`docker save --output={found} NAME`, not by its id."
        )
    return names[0]
