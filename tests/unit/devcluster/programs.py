"""Stand-ins for programs that tests must not or cannot run: shell scripts at the front of PATH."""

from pathlib import Path

import pytest


def install(folder: Path, name: str, script: str) -> Path:
    """Put a shell script into `folder` as the program `name`; what stood there goes."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def search_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let PATH find the stand-ins in `folder`, the shell's own tools, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    tools = folder.with_name("tools")
    tools.mkdir(exist_ok=True)
    for tool in ("cat", "cp", "mkdir", "sh", "sleep"):
        (tools / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", f"{folder}:{tools}")
