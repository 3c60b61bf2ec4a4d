"""The worker's cache folder: what is fetched once for all ranks that share it, and can be had again."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everstep_trainer.errors import DamagedError, RefusedError
from everstep_trainer.objects import Store


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process in at a time. The kernel opens the lock when its holder dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Write below the path, or say that the volume is full.

    Raises:
        RefusedError: it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise RefusedError(
            f"The volume of {path} is full; set spec.workers.cache to a larger one, such as"
            " {emptyDir: {sizeLimit: 50Gi}}, on a node that has as much."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Create or replace the file so that nobody ever sees a part of it.

    Raises:
        RefusedError: the volume is full.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with room_for(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
    draft.replace(path)


def fetch(store: Store, name: str, path: Path, *, size_bytes: int, sha256: str) -> None:
    """Have the object at the path, with exactly these bytes. A file of the right size was checked when it came.

    Raises:
        DamagedError: the object is another one than was meant.
    """
    if path.exists() and path.stat().st_size == size_bytes:
        return
    content = store.get(name)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DamagedError(f"{store.uri}/{name} has sha256 {found} in place of {sha256}.")
    write_whole(path, content)
