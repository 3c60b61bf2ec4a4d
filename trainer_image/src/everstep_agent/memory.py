"""How much memory a process holds, as the kernel counts it."""

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int | None:
    """Return the bytes of the process that are in memory, those that it shares included; None once it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(pages[1]) * _PAGE_BYTES if len(pages) > 1 else None
