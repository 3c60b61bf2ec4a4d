"""What this machine must have to carry a cluster of namespaces, all of it checked in one place and reported at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from devcluster.problem import DevclusterError
from devcluster.processes import ENVIRONMENT
from devcluster.settings import STATE

PROGRAMS: Mapping[str, Sequence[str]] = {
    "containerd": ("containerd", "containerd-shim-runc-v2", "ctr"),
    "runc": ("runc",),
    "containernetworking-plugins": tuple(
        f"/usr/lib/cni/{name}" for name in ("bridge", "host-local", "loopback", "portmap")
    ),
    "iptables": ("iptables", "iptables-restore", "iptables-save"),
    "iproute2": ("ip",),
    "util-linux": ("nsenter", "setpriv", "unshare"),
    "mount": ("mount", "umount"),
}
"""Each Debian package, and what of it a cluster runs."""

BUILDER: Mapping[str, Sequence[str]] = {"buildah": ("buildah",), "mmdebstrap": ("mmdebstrap",)}
"""The same of what builds an image where there is no Docker."""

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_FREE_BYTES = 2 * 1000**3  # three nodes, their logs and an image of 200 MB; a node evicts pods below 100 MB
_INSTALL_TIMEOUT_S = 600.0


_NOT_ROOT = "Namespaces and control groups are made by root; run this as root, for example by `sudo -E`."


def require_root() -> None:
    """Return if this is root, who alone may touch a cluster of this machine.

    Raises:
        DevclusterError: it is somebody else.
    """
    if os.geteuid() != 0:
        raise DevclusterError(_NOT_ROOT)


def require(*, path: str = ENVIRONMENT["PATH"], state: Path = STATE, groups: Path = _CONTROL_GROUPS) -> None:
    """Return once this machine has all that a cluster needs; missing Debian packages are installed.

    A containerd that a package starts on a machine with systemd is left alone: each node has a /run of its own, where
    its containerd finds nobody else's socket.

    Raises:
        DevclusterError: something is missing; the message names everything that is, and what to do about each.
    """
    problems = [*_find_unfit(groups), *_find_narrow(state)]
    missing = find_missing(path)
    if missing and not problems:
        missing = _install(missing, path)
    if missing:
        problems.append(f"These Debian packages are missing: {' '.join(missing)}; install them.")
    if problems:
        listed = problems[0] if len(problems) == 1 else "\n  - " + "\n  - ".join(problems)
        raise DevclusterError(f"This machine cannot carry a cluster: {listed}")


def require_builder(*, path: str = ENVIRONMENT["PATH"]) -> None:
    """Return once this machine can build an image without Docker; missing Debian packages are installed.

    Raises:
        DevclusterError: it cannot, and the message says what to do.
    """
    if os.geteuid() != 0:
        raise DevclusterError(
            "No docker daemon answers, and without one an image is built by root; run this as root, or install Docker."
        )
    missing = find_missing(path, BUILDER)
    if missing:
        missing = _install(missing, path, BUILDER)
    if missing:
        raise DevclusterError(
            f"An image is built by docker, or else by these Debian packages, which are missing: {' '.join(missing)}; "
            "install either."
        )


def find_missing(path: str, packages: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Return the Debian packages of which a program is neither in `path` nor at its place.

    Args:
        path: where programs are looked for.
        packages: what each package must have; absent: those of a cluster.
    """
    return [
        package
        for package, programs in (PROGRAMS if packages is None else packages).items()
        if not all(shutil.which(program, path=path) for program in programs)
    ]


def _find_unfit(groups: Path) -> Iterator[str]:
    """Yield what no package can mend."""
    if sys.platform != "linux":
        yield (
            f"It runs {sys.platform}, and nodes are made of Linux namespaces; use a Linux machine, or set KUBECONFIG "
            "and DEVCLUSTER_CONTEXT to use a cluster that you have, such as one of kind."
        )
    elif not (groups / "cgroup.controllers").exists() and not (groups / "memory").is_dir():
        yield f"No control groups are mounted at {groups}; mount them, or start the container with them."
    if os.geteuid() != 0:
        yield _NOT_ROOT


def _find_narrow(state: Path) -> Iterator[str]:
    """Yield that the disk is too full for the cluster's state, if it is."""
    present = next(folder for folder in (state, *state.parents) if folder.exists())
    free = shutil.disk_usage(present).free
    if free < _FREE_BYTES:
        yield (
            f"The disk of {state} has {free / 1e9:.1f} GB free, and a cluster needs {_FREE_BYTES / 1e9:.0f} GB; "
            "make room, or name a folder on another disk in DEVCLUSTER_STATE."
        )


def _install(packages: Sequence[str], path: str, wanted: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Install what apt-get can; return the packages that are still missing."""
    apt = shutil.which("apt-get", path=path)
    if apt is None:
        return list(packages)
    Console(stderr=True).print(f"Installing {' '.join(packages)} with apt-get.", soft_wrap=True)
    install = ["install", "--yes", "--no-install-recommends", *packages]
    said = _apt(apt, install)
    if said:  # the lists of packages are missing or old
        said = _apt(apt, ["update"]) or _apt(apt, install)
    if said:
        raise DevclusterError(
            f"apt-get cannot install {' '.join(packages)}: {said} Install them, or mend that, and run this again."
        )
    return find_missing(path, wanted)


def _apt(apt: str, arguments: Sequence[str]) -> str:
    """Return apt-get's complaint, which is empty when it succeeds."""
    command = [apt, "-o", "DPkg::Lock::Timeout=120", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {_INSTALL_TIMEOUT_S:.0f} s."
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it says nothing."])[-1]
