"""The layers of an image as one node's containerd sees them: snapshots whose files lie outside of it.

containerd would unpack an image into snapshots of its own, 6 GB for each node and a minute. Here each snapshot is made
empty and its folder is then a link to the layer that the cluster keeps, so that all nodes share the files, on the disk
and in the kernel's memory. containerd reads such a folder and, as it is committed, never writes it.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from devcluster.image_layers import Layer

Ctr = Callable[..., str]
"""Runs ctr with these arguments in the node and returns what it prints."""

_DRAFT = "everstep-draft"


def add(layers: Sequence[Layer], images: Path, *, ctr: Ctr) -> None:
    """Have a snapshot of each layer, down to up, that refers to the files kept in `images`."""
    present = {line.split()[0] for line in ctr("snapshots", "list").splitlines() if line}
    if _DRAFT in present:  # of a call that was cut off
        ctr("snapshots", "remove", _DRAFT)
    parent = ""
    for layer in layers:
        name = chain_id(parent, layer.digest)
        if name not in present:
            mounts = json.loads(ctr("snapshots", "prepare", "--mounts", _DRAFT, *([parent] if parent else [])))
            files = written_folder(mounts[0])
            files.rmdir()
            files.symlink_to(layer.folder(images))
            # ctr marks what it commits as wanted, so that containerd's collection of garbage leaves it.
            ctr("snapshots", "commit", name, _DRAFT)
        parent = name


def chain_id(parent: str, digest: str) -> str:
    """Return the name of a layer's snapshot above that of its parent, as the OCI image specification defines it."""
    return f"sha256:{hashlib.sha256(f'{parent} {digest}'.encode()).hexdigest()}" if parent else digest


def written_folder(mount: dict[str, object]) -> Path:
    """Return the folder into which the mount of a snapshot in preparation writes."""
    if mount["Type"] == "bind":
        return Path(str(mount["Source"]))
    options = [str(option) for option in mount["Options"]]  # type: ignore[attr-defined]  # a list in containerd's JSON
    return Path(next(option.removeprefix("upperdir=") for option in options if option.startswith("upperdir=")))
