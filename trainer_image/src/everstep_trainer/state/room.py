"""How much memory a worker has left for snapshots: files in memory count against its pod like everything else."""

from collections.abc import Iterator
from os import statvfs
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_GROUPS_OF_THIS_PROCESS = Path("/proc/self/cgroup")
_NO_LIMIT = "max"
_KIB = 1024


def room_bytes(folder: Path) -> int:
    """Return how much the files in the folder may take in all: what they take now, and what is left beside that.

    The least of three limits decides: the volume of the folder, the control groups that this process is in, and the
    machine's memory.
    """
    volume = statvfs(folder)
    left = min(volume.f_bavail * volume.f_frsize, _available_bytes(), *_left_in_groups())
    return left + sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def _left_in_groups() -> Iterator[int]:
    """Per control group with a limit, what is left in it; what the kernel can drop counts as left (cgroup v2)."""
    lines = _GROUPS_OF_THIS_PROCESS.read_text().splitlines()
    name = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    group = _CGROUPS / name.strip("/")
    for path in (group, *group.parents):
        if not path.is_relative_to(_CGROUPS):
            return
        try:
            limit = (path / "memory.max").read_text().strip()
            if limit != _NO_LIMIT:
                figures = dict(line.split() for line in (path / "memory.stat").read_text().splitlines())
                used = int((path / "memory.current").read_text()) - int(figures["inactive_file"])
                yield int(limit) - used
        except FileNotFoundError:
            continue  # the root has no limit, and a container sees its own group alone


def _available_bytes() -> int:
    """What programs may take of the machine's memory before it swaps (proc(5))."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * _KIB for line in lines if line.startswith("MemAvailable:"))
