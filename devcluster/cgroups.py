"""Control groups below which a node's pods live, in cgroup v1's hierarchies or in the one of v2."""

import contextlib
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = "+cpu +cpuset +hugetlb +io +memory +pids"
"""With v2 the kubelet refuses a root that lacks cpu, cpuset, hugetlb, memory or pids where the kernel has them."""


def make_group(path: str) -> None:
    """Make the group `path` in every hierarchy: the kubelet wants its root to be there."""
    for hierarchy in _hierarchies():
        group = hierarchy
        for part in path.split("/"):
            if (hierarchy / "cgroup.controllers").exists():
                # v2 hands controllers down level by level; one that the kernel lacks fails all, so each by itself.
                for controller in _CONTROLLERS.split():
                    with contextlib.suppress(OSError):
                        (group / "cgroup.subtree_control").write_text(controller)
            group = group / part
            group.mkdir(exist_ok=True)


def remove_group(path: str) -> None:
    """Remove the group `path` with all below it, and those above it that become empty; no process may be in them."""
    for hierarchy in _hierarchies():
        top = hierarchy / path
        if not top.exists():
            continue
        for folder in sorted((item for item in top.rglob("*") if item.is_dir()), reverse=True):
            folder.rmdir()
        top.rmdir()
        with contextlib.suppress(OSError):  # another cluster's groups are in it
            top.parent.rmdir()


def _hierarchies() -> list[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for path in _ROOT.iterdir() if path.is_dir() and not path.is_symlink()]
