"""The project's own images, built from its Dockerfile by buildah or docker under names that say what went into them.

What is built is decided by the files that the Dockerfile reads, so an image whose name is there is the image wanted.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from rich.console import Console

from devcluster import host, python_image
from devcluster.image_stores import REPOSITORY, forget_older, is_stored
from devcluster.package_sources import PackageSources
from devcluster.problem import DevclusterError
from devcluster.settings import CACHE

Target = Literal["operator", "trainer"]
TARGETS: tuple[Target, ...] = get_args(Target)

PROJECT = Path(__file__).parent.parent

_TIMEOUT_S = 3600.0  # ten times what two cores take
_QUESTION_TIMEOUT_S = 20.0
_KEPT = 2  # this image and the one before: going back to another branch builds nothing
_EXPECTED = {
    "operator": "1.5 minutes the first time, and seconds after a change of code",
    "trainer": "3 minutes and 13 GB of the disk the first time (6 GB stay), and seconds after a change of code",
}


def build(target: Target, *, project: Path = PROJECT, console: Console | None = None) -> str:
    """Return the name of the image of `target`, built if it is not there yet.

    Raises:
        DevclusterError: there is no builder, or the build fails; its whole output is in a file that the message names.
    """
    tool = _builder()
    base = "" if tool == "docker" else python_image.NAME  # what the Dockerfile says, or what is made here
    wanted = f"{REPOSITORY}/{target}:{_key(target, base, project)}"
    if not is_stored(tool, wanted):
        said = console or Console(stderr=True)
        said.print(f"Building the image of the {target}; that takes {_EXPECTED[target]}.", soft_wrap=True)
        began = time.monotonic()
        if tool == "docker":
            _run(["docker", "build", f"--target={target}", f"--tag={wanted}", str(project)], target)
        else:
            _build_with_buildah(target, wanted, project)
        said.print(f"  built in {time.monotonic() - began:.0f} s: {wanted}", soft_wrap=True)
        forget_older(tool, wanted, kept=_KEPT)
    return wanted


def _builder() -> str:
    """Return buildah, which is installed with what it needs if root has neither, or docker where buildah cannot be."""
    if (shutil.which("buildah") is None or os.geteuid() != 0) and _is_docker_up():
        return "docker"
    host.require_builder()
    return "buildah"


def _is_docker_up() -> bool:
    """Whether a daemon answers: many machines have the client alone."""
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, timeout=_QUESTION_TIMEOUT_S, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _build_with_buildah(target: Target, wanted: str, project: Path) -> None:
    python_image.ensure()
    with PackageSources.of_this_machine().mounted() as mounts:
        options = ["--isolation=chroot", "--network=host", "--pull-never", "--layers", *mounts]
        arguments = [f"--build-arg=PYTHON_IMAGE={python_image.NAME}", f"--target={target}", f"--tag={wanted}"]
        _run(["buildah", "bud", *options, *arguments, str(project)], target)


def _run(command: Sequence[str], target: Target) -> None:
    log = CACHE / "images" / f"build-{target}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as output:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_TIMEOUT_S, check=False
            )
    except subprocess.TimeoutExpired:
        raise DevclusterError(
            f"{command[0]} still builds the image of the {target} after {_TIMEOUT_S / 60:.0f} minutes; see {log}."
        ) from None
    if done.returncode != 0:
        last = "\n  ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:])
        raise DevclusterError(f"{command[0]} cannot build the image of the {target}; see {log}, which ends:\n  {last}")


# -- what decides about an image ------------------------------------------------------------------------------------


def _key(target: Target, base: str, project: Path) -> str:
    digest = hashlib.sha256(f"{target}\0{base}".encode())
    for file in _inputs(project):
        content = file.read_bytes()
        executable = os.access(file, os.X_OK)
        digest.update(f"\0{file.relative_to(project)}\0{executable}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _inputs(project: Path) -> Iterator[Path]:
    """Yield the files that a build reads: the Dockerfile, and what .dockerignore lets through."""
    ignore = project / ".dockerignore"
    yield from (project / "Dockerfile", ignore)
    for line in ignore.read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            let_through = project / line.removeprefix("!")
            files = [let_through] if let_through.is_file() else sorted(let_through.rglob("*"))
            yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)
