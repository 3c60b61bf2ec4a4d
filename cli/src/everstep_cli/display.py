"""What a person sees of a running job: a line that moves in a terminal, lines that stay in a file."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import Progress as Told

_LINE_EVERY_S = 10.0
"""How often a line is written where no terminal can move one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What there is to see at one moment."""

    status: TrainingJobStatus
    told: Told | None
    """The newest step, fresher than the status."""

    @property
    def step(self) -> int:
        """The last step that is known."""
        if self.told is not None:
            return self.told.step
        return self.status.progress.step if self.status.progress else 0

    @property
    def total(self) -> int | None:
        """Steps in all, once they are known."""
        known = self.status.progress.total_steps if self.status.progress else None
        return (self.told.total_steps if self.told else None) or known

    @property
    def figures(self) -> str:
        """Loss, speed and time left."""
        told = self.told
        if told is None:
            return ""
        parts = [
            f"loss {told.loss:.4g}" if told.loss is not None else "",
            f"{told.tokens_per_second:,.0f} tokens/s" if told.tokens_per_second is not None else "",
            f"{_time(self._left_s)} left" if self._left_s is not None else "",
        ]
        return "  ".join(part for part in parts if part)

    @property
    def _left_s(self) -> float | None:
        if self.told is None or self.told.step_seconds is None or self.total is None:
            return None
        return (self.total - self.step) * self.told.step_seconds


class Display:
    """Shows views of one job until the context ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None
        self._written = float("-inf")

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
        """Show this moment."""
        phase = view.status.phase or "Pending"
        if self._console.is_terminal and self._task is not None:
            self._progress.update(
                self._task, description=phase, completed=view.step, total=view.total, figures=view.figures
            )
            return
        if time.monotonic() - self._written >= _LINE_EVERY_S and view.step:
            self._written = time.monotonic()
            self.say(f"{phase}: step {view.step}{f'/{view.total}' if view.total else ''}  {view.figures}")


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
