"""Each outside thing has one door, so that what it changes is changed in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import everstep_operator

ROOMS = Path(everstep_operator.__file__).parent


def importers_of(package: str) -> Iterator[str]:
    for path in ROOMS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == package for name in names):
                yield path.relative_to(ROOMS).as_posix()


@pytest.mark.parametrize(("package", "door"), [("kubernetes", "kube/"), ("kopf", "watch.py")])
def test_a_library_is_imported_behind_its_door_alone(package: str, door: str) -> None:
    found = set(importers_of(package))
    assert found
    assert all(path.startswith(door) for path in found)
