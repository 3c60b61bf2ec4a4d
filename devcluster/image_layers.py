"""Images that buildah has unpacked already, brought to nodes without an archive and without a second copy on the disk.

buildah keeps the layers of an image as folders in the form that the kernel's overlay takes, and so does containerd. A
cluster takes each layer over by hard links, which outlive the image in buildah's store, and its nodes refer to that
(`snapshots.py`). What a node's containerd imports is the description of the image alone, some kilobytes.

Nobody ever writes into a layer: containers write into folders of their own above it.
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from devcluster.problem import DevclusterError

SUFFIX = ".oci"
"""Of a kept description; the layers lie beside it in the folder `layers`."""

_QUESTION_TIMEOUT_S = 60.0
_LINK_TIMEOUT_S = 1800.0  # links take a second; the time is for the copy to another disk
_OCI = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer, by the digest of its unpacked archive."""

    digest: str
    size_bytes: int

    def folder(self, images: Path) -> Path:
        """Where its files lie for the nodes of a cluster that keeps its images in `images`."""
        return images / "layers" / self.digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An image without its files."""

    name: str
    config: bytes
    layers: Sequence[Layer]

    @classmethod
    def read(cls, kept: Path) -> Self:
        """Return what `write` put into a file."""
        with tarfile.open(kept) as tar:

            def blob(descriptor: Mapping[str, Any]) -> bytes:
                return tar.extractfile(_blob_path(descriptor["digest"])).read()  # type: ignore[union-attr]  # a file

            index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]  # we wrote a file
            manifest = json.loads(blob(index["manifests"][0]))
            config = blob(manifest["config"])
        layers = [Layer(digest=layer["digest"], size_bytes=layer["size"]) for layer in manifest["layers"]]
        return cls(name=index["manifests"][0]["annotations"]["io.containerd.image.name"], config=config, layers=layers)

    def write(self, target: Path) -> None:
        """Write an OCI archive that has every part but the layers."""
        config = _descriptor("config.v1+json", self.config)
        layers = [
            {"mediaType": f"{_OCI}.layer.v1.tar", "digest": layer.digest, "size": layer.size_bytes}
            for layer in self.layers
        ]
        manifest = _packed(
            {"schemaVersion": 2, "mediaType": f"{_OCI}.manifest.v1+json", "config": config, "layers": layers}
        )
        described = {
            **_descriptor("manifest.v1+json", manifest),
            "annotations": {"io.containerd.image.name": self.name},
        }
        files = {
            "oci-layout": _packed({"imageLayoutVersion": "1.0.0"}),
            "index.json": _packed({"schemaVersion": 2, "manifests": [described]}),
            _blob_path(described["digest"]): manifest,
            _blob_path(config["digest"]): self.config,
        }
        draft = target.with_name(f".draft-{uuid.uuid4().hex}")
        with tarfile.open(draft, "w") as tar:
            for path, content in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        draft.replace(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image in buildah's store."""

    description: Description
    folders: Mapping[str, Path]
    """Of each layer, by its digest."""

    store: Path
    """The folder of all layers of the store."""

    def keep(self, images: Path) -> Path:
        """Return its description in the folder `images`, where its layers are then, too.

        A layer stays there as long as the folder, since a pod may still run on an older image of the same name: that
        costs the disk something only where buildah's store has let go of it.
        """
        (images / "layers").mkdir(parents=True, exist_ok=True)
        for layer in self.description.layers:
            if not layer.folder(images).exists():
                take_over(self.folders[layer.digest], layer.folder(images), store=self.store)
        target = images / f"{hashlib.sha256(self.description.name.encode()).hexdigest()[:16]}{SUFFIX}"
        self.description.write(target)
        return target


def find(image: str) -> StoredImage | None:
    """Return the image that buildah has under this name with its layers as folders; None if it has no such."""
    if shutil.which("buildah") is None:
        return None
    asked = _ask("inspect", "--type=image", "--format={{.FromImageID}}\n{{.Config}}", image)
    if asked is None:
        return None
    identity, config = asked.split("\n", 1)
    info = _ask("info", "--format={{.store.GraphDriverName}} {{.store.GraphRoot}}") or ""
    driver, _, root = info.strip().partition(" ")
    if driver != "overlay":
        return None
    return read_store(Path(root), name=image, identity=identity, config=config.removesuffix("\n").encode())


def read_store(root: Path, *, name: str, identity: str, config: bytes) -> StoredImage | None:
    """Return an image of the store that lies in `root`; None if its layers are not there as the config names them.

    The form is that of github.com/containers/storage, which buildah and podman share.
    """
    images = {image["id"]: image for image in json.loads((root / "overlay-images" / "images.json").read_text())}
    stored = {layer["id"]: layer for layer in json.loads((root / "overlay-layers" / "layers.json").read_text())}
    chain: list[dict[str, Any]] = []
    identity = images.get(identity, {}).get("layer", "")
    while identity in stored:
        chain.insert(0, stored[identity])
        identity = stored[identity].get("parent", "")
    if [layer.get("diff-digest") for layer in chain] != json.loads(config)["rootfs"]["diff_ids"]:
        return None
    layers = [Layer(digest=layer["diff-digest"], size_bytes=layer["diff-size"]) for layer in chain]
    return StoredImage(
        description=Description(name=name, config=config, layers=layers),
        folders={layer["diff-digest"]: root / "overlay" / layer["id"] / "diff" for layer in chain},
        store=root / "overlay",
    )


def take_over(source: Path, target: Path, *, store: Path) -> None:
    """Have the files of a layer in `target` as well: by hard links, or as a copy if that is on another disk.

    Devices that stand for removed files and the mark of a folder that hides the one below come along.

    Raises:
        DevclusterError: the disk is full, or the layer goes while it is read.
    """
    draft = target.with_name(f".draft-{uuid.uuid4().hex}")
    how = "--link" if store.stat().st_dev == target.parent.stat().st_dev else "--reflink=auto"
    # buildah mounts its store over itself, and there are no links from one mount to another, even of one disk: here,
    # and nowhere else, that mount is taken away.
    script = 'umount --lazy "$1" 2>/dev/null; exec cp --archive "$2" -- "$3" "$4"'
    command = ["unshare", "--mount", "--propagation=private", "--", "sh", "-c", script, "sh"]
    try:
        done = subprocess.run(
            [*command, store, how, source, draft], capture_output=True, text=True, timeout=_LINK_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise DevclusterError(f"A layer of the image cannot be brought to {target.parent}: {said}")
        draft.rename(target)
    except subprocess.TimeoutExpired:
        raise DevclusterError(f"A layer of {source} was not copied in {_LINK_TIMEOUT_S:.0f} s.") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _ask(*question: str) -> str | None:
    try:
        done = subprocess.run(
            ["buildah", *question], capture_output=True, text=True, timeout=_QUESTION_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise DevclusterError(
            f"`buildah {' '.join(question)}` gave no answer in {_QUESTION_TIMEOUT_S:.0f} s; is a build running?"
        ) from None
    return done.stdout if done.returncode == 0 else None


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": f"{_OCI}.{kind}", "digest": digest, "size": len(content)}


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _packed(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
