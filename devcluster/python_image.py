"""The image of Python for a machine without a registry: Debian's own, put together from its packages.

It stands in for the Dockerfile's PYTHON_IMAGE, which is Debian with the same minor version of Python. It is made once:
its name says what it is made of.
"""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from devcluster.image_stores import REPOSITORY, is_stored
from devcluster.package_sources import MOUNTED_FILES, MOUNTED_FOLDERS
from devcluster.problem import DevclusterError

_SUITE = "bookworm"  # its Python is 3.11
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_TIMEOUT_S = 1200.0

_CONTAINERFILE = f"""\
FROM scratch
ADD base.tar /
# /usr/local/bin/python and pip are what the image that this stands for has.
RUN python3 -m venv /usr/local && ln -sf pip3 /usr/local/bin/pip
# What a build mounts from this machine leaves an entry where there was none.
RUN mkdir -p {" ".join(MOUNTED_FOLDERS)} && touch {" ".join(MOUNTED_FILES)}
ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
"""

_INPUTS = "\0".join([_SUITE, *_PACKAGES, *_LEFT_OUT, _CONTAINERFILE])

NAME = f"{REPOSITORY}/python:{hashlib.sha256(_INPUTS.encode()).hexdigest()[:16]}"
"""The name that buildah has for it."""


def ensure() -> None:
    """Return once buildah has it, which takes 1.5 minutes the first time.

    Raises:
        DevclusterError: Debian's packages cannot be fetched, or put together.
    """
    if not is_stored("buildah", NAME):
        _make()


def _make() -> None:
    # 200 MB are much for a /tmp in memory.
    with TemporaryDirectory(prefix="everstep-python-", dir="/var/tmp") as made:
        folder = Path(made)
        (folder / "Containerfile").write_text(_CONTAINERFILE, encoding="utf-8")
        without = [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
        _run(
            [
                *("mmdebstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", *without),
                *(_SUITE, str(folder / "base.tar")),
            ]
        )
        _run(["buildah", "bud", "--isolation=chroot", f"--tag={NAME}", f"--file={folder / 'Containerfile'}", made])


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise DevclusterError(
            f"{command[0]} still makes the image of Python after {_TIMEOUT_S / 60:.0f} minutes; "
            "see that this machine reaches a mirror of Debian, and run this again."
        ) from None
    if done.returncode != 0:
        said = "\n  ".join(done.stderr.strip().splitlines()[-5:]) or "it says nothing"
        raise DevclusterError(f"{command[0]} cannot make the image of Python:\n  {said}")
