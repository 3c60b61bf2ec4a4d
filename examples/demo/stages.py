"""The demo's stages on the screen: what is done, how long that takes, how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console


@dataclass(kw_only=True, slots=True)
class Stages:
    """Announces each stage before it begins, and its seconds when it has ended."""

    console: Console
    count: int
    _ended: list[tuple[str, float]] = field(default_factory=list)
    """Titles with the seconds that they took."""

    @contextmanager
    def stage(self, title: str, takes: str) -> Iterator[None]:
        """Tell the stage's beginning and end; one that fails has no end."""
        self.console.print(f"\n[bold]{len(self._ended) + 1}/{self.count} {title}[/] [dim]({takes})[/]", highlight=False)
        begun = time.monotonic()
        yield
        seconds = time.monotonic() - begun
        self._ended.append((title, seconds))
        self.say(f"done in {seconds:.0f} s")

    def say(self, sentence: str, style: str = "") -> None:
        """Write a sentence of the present stage."""
        self.console.print(f"  {sentence}", style=style, highlight=False, markup=False, soft_wrap=True)

    def conclude(self) -> None:
        """Write how long each stage took."""
        total = sum(seconds for _, seconds in self._ended)
        parts = ", ".join(f"{title.lower()} {seconds:.0f}" for title, seconds in self._ended)
        self.console.print(f"\n{total:.0f} s in all: {parts}.", style="dim", highlight=False, soft_wrap=True)
