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

ANNOUNCEMENT = (
    "Building etcd, Kubernetes, CoreDNS, helm, kwok and the S3 server; "
    "with nothing in Go's cache that takes 5 minutes on 2 cores."
)

_WIDTH = 32
_LINE_INTERVAL_S = 15.0  # often enough to see that it lives, seldom enough for a log


@contextmanager
def shown(console: Console) -> Iterator[Watch]:
    """Yield what a build tells its state to; nothing is printed unless something is really built."""
    bar = Progress(
        TextColumn(f"{{task.description:<{_WIDTH}}}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("packages"),
        TimeElapsedColumn(),
        console=console,
    )
    painter = _Bar(bar, console) if console.is_terminal else _Lines(console)
    try:
        yield painter
    finally:
        bar.stop()


class _Bar:
    def __init__(self, bar: Progress, console: Console) -> None:
        self._bar = bar
        self._console = console
        self._task = bar.add_task("looking", total=None, start=False)

    def __call__(self, state: BuildState) -> None:
        if not self._bar.live.is_started:
            self._console.print(ANNOUNCEMENT)
            self._bar.start()
            self._bar.start_task(self._task)
        self._bar.update(
            self._task, description=state.doing[:_WIDTH], completed=state.compiled, total=state.total or None
        )


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed_at: float | None = None

    def __call__(self, state: BuildState) -> None:
        now = time.monotonic()
        if self._printed_at is None:
            self._console.print(ANNOUNCEMENT)
        elif now - self._printed_at < _LINE_INTERVAL_S:
            return
        self._printed_at = now
        minutes, seconds = divmod(int(state.elapsed_s), 60)
        count = f", {state.compiled:,} of {state.total:,} packages" if state.total else ""
        self._console.print(f"  {minutes}:{seconds:02d}  {state.doing}{count}")
