"""The volumes of a pod as folders of this machine: each mount path of the container stands for one of them."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from everstep_api.resource import Manifest
from everstep_operator.cluster import RefusedError

_MEMORY = Path("/dev/shm")  # noqa: S108 - the machine's folder in memory; what we make there is our own
_PREFIX = "everstep-"

Projected = Callable[[Manifest], Mapping[str, bytes]]
"""The files of a source of a projected volume."""


class Volumes:
    """The volumes of one pod, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_memory: list[Path] = []

    def make(self, pod: Manifest, projected: Projected) -> dict[PurePosixPath, Path]:
        """Make the pod's volumes, and return the folder of each mount path of its container.

        Raises:
            RefusedError: a volume is of a kind that a single machine has not.
        """
        made = {volume["name"]: self._make(volume, projected) for volume in pod["spec"].get("volumes", [])}
        found = {}
        for mount in pod["spec"]["containers"][0].get("volumeMounts", []):
            if mount["name"] not in made:
                raise RefusedError(f"The mount {mount['mountPath']} names the volume {mount['name']}, which is none.")
            found[PurePosixPath(mount["mountPath"])] = made[mount["name"]] / mount.get("subPath", "")
        return found

    def remove(self) -> None:
        """Remove the volumes; what is in a hostPath stays."""
        for folder in [self._folder, *self._in_memory]:
            shutil.rmtree(folder, ignore_errors=True)

    def _make(self, volume: Manifest, projected: Projected) -> Path:
        path = self._folder / str(volume["name"])
        match {name: value for name, value in volume.items() if name != "name"}:
            case {"emptyDir": {"medium": "Memory"}}:
                path = memory_folder()
                self._in_memory.append(path)
            case {"emptyDir": _}:
                path.mkdir(parents=True, exist_ok=True)
            case {"hostPath": {"path": str(host)}}:
                path = Path(host)
                path.mkdir(parents=True, exist_ok=True)
            case {"projected": {"sources": sources}}:
                path.mkdir(parents=True, exist_ok=True)
                for source in sources:
                    for name, content in projected(source).items():
                        (path / name).touch(mode=0o600)
                        (path / name).write_bytes(content)
            case other:
                raise RefusedError(
                    f"The volume {volume['name']} is of the kind {', '.join(other)}, which this machine has not;"
                    " use emptyDir or hostPath."
                )
        return path


def translate(value: str, mounts: Mapping[PurePosixPath, Path]) -> str:
    """A path of the container as one of this machine; any other text stays as it is."""
    path = PurePosixPath(value)
    inside = [mount for mount in mounts if path.is_relative_to(mount)]
    if not inside:
        return value
    nearest = max(inside, key=lambda mount: len(mount.parts))
    return str(mounts[nearest] / path.relative_to(nearest))


def memory_folder() -> Path:
    """A new folder in memory with a short path, as sockets need it: their paths have at most 107 bytes.

    Its name has the process that made it, so that the next one can remove what a killed one left behind.
    """
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for leftover in _leftovers(parent):
        shutil.rmtree(leftover, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def _leftovers(parent: Path) -> Iterator[Path]:
    for path in parent.glob(f"{_PREFIX}[0-9]*-*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError):
            if pid.isdigit() and path.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists():
                yield path
