"""The standard library of the Python that runs, as text."""

import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = frozenset({"test", "tests", "idle_test"})
"""Folders of tests, a third of the library: their docstrings say which bug is tried, not what a function does."""
TABLES = frozenset({"encodings", "pydoc_data"})
"""Modules written by programs: character tables, and one text in quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One source file."""

    package: str
    """The name that is imported first: `asyncio` for `asyncio/base_events.py`."""
    text: str


def modules(root: Path | None = None) -> Iterator[Module]:
    """Yield the library's modules in the order of their paths, the same on every machine with this Python.

    What lies beside the library (installed packages, what a distribution or the build added) is left out, and so are
    files without text and those that are not in the encoding that they name.
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts):
        parts = path.relative_to(root).parts
        package = parts[0].removesuffix(".py")
        if package not in sys.stdlib_module_names or package in TABLES or TESTS.intersection(parts):
            continue
        try:
            with tokenize.open(path) as file:
                text = file.read()
        except (SyntaxError, UnicodeDecodeError):
            continue
        if text.strip():
            yield Module(package=package, text=text)
