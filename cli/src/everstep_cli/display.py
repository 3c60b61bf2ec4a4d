"""What a person sees of a running job: a bar that moves in a terminal, lines that stay in a file."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from everstep_api.status import TrainingJobStatus
from everstep_cli.view import View, news

LINE_EVERY_S = 5.0
"""How often a line is written, at most, where no terminal can move one."""
_MOVES_PER_SECOND = 4
"""Of the bar: as often as there is something new to see."""


class Display:
    """Shows views of one job until the context ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=_MOVES_PER_SECOND,
            transient=True,
        )
        self._task: TaskID | None = None
        self._status = TrainingJobStatus()
        self._written = float("-inf")
        self._line = ""

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("Pending", total=None, figures="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, sentence: str, style: str = "") -> None:
        """Write a sentence that stays."""
        self._console.print(sentence, style=style, highlight=False, markup=False, soft_wrap=True)

    def show(self, view: View) -> None:
        """Show this moment, and what became known since the last one."""
        for sentence in news(self._status, view.status):
            self.say(sentence, style="cyan")
        self._status = view.status
        if self._console.is_terminal and self._task is not None:
            self._progress.update(
                self._task, description=view.phase, completed=view.step, total=view.total, figures=view.figures
            )
            return
        if (view.step or view.doing) and view.line != self._line and time.monotonic() - self._written >= LINE_EVERY_S:
            self._written, self._line = time.monotonic(), view.line
            self.say(view.line)
