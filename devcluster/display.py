"""A build as people see it: a bar where there is a terminal, a line now and then where there is none."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildState:
    """How far a build is."""

    doing: str = "looking"
    compiled: int = 0
    total: int = 0
    elapsed_s: float = 0.0


Watch = Callable[[BuildState], None]
"""Is told the state at every package, and every second."""

_WIDTH = 32
_LINE_INTERVAL_S = 15.0  # often enough to see that it lives, seldom enough for a log


@contextmanager
def shown(console: Console, announcement: str) -> Iterator[Watch]:
    """Yield what a build tells its state to; before the first state, with which it is announced, nothing is printed."""
    painter = _Bar(console, announcement) if console.is_terminal else _Lines(console, announcement)
    try:
        yield painter
    finally:
        painter.end()


class _Bar:
    def __init__(self, console: Console, announcement: str) -> None:
        self._console = console
        self._announcement = announcement
        self._bar = Progress(
            TextColumn(f"{{task.description:<{_WIDTH}}}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("packages"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("looking", total=None, start=False)

    def __call__(self, state: BuildState) -> None:
        if not self._bar.live.is_started:
            self._console.print(self._announcement)
            self._bar.start()
            self._bar.start_task(self._task)
        self._bar.update(
            self._task, description=state.doing[:_WIDTH], completed=state.compiled, total=state.total or None
        )

    def end(self) -> None:
        self._bar.stop()


class _Lines:
    def __init__(self, console: Console, announcement: str) -> None:
        self._console = console
        self._announcement = announcement
        self._printed_at: float | None = None
        self._state = BuildState()

    def __call__(self, state: BuildState) -> None:
        self._state = state
        now = time.monotonic()
        if self._printed_at is None:
            self._console.print(self._announcement, soft_wrap=True)
        elif now - self._printed_at < _LINE_INTERVAL_S:
            return
        self._printed_at = now
        self._print()

    def end(self) -> None:
        if self._printed_at is not None:
            self._print()

    def _print(self) -> None:
        minutes, seconds = divmod(int(self._state.elapsed_s), 60)
        count = f", {self._state.compiled:,} of {self._state.total:,} packages" if self._state.total else ""
        self._console.print(f"  {minutes}:{seconds:02d}  {self._state.doing}{count}", soft_wrap=True)
