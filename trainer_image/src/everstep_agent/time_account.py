"""Where a worker's time goes: into steps that count, or lost to a cause. Pure: whoever calls brings the time.

An interval begins with the end of a step or a change of phase, and is booked when the next one begins. What a loss cuts
off, the step that was under way, belongs to the recovery, and so does all until the end of the first step after it.
"""

from collections.abc import Callable
from enum import StrEnum

from everstep_agent.events import Event, Said
from everstep_agent.membership import Membership
from everstep_agent.state import Worker
from everstep_api.wire.ranks import PhaseBegun, Stepped
from everstep_api.wire.sync import AgentState, Phase


class Lost(StrEnum):
    """Why there was no new step."""

    STARTUP = "startup"
    """Until the end of the first step of this process: imports, spares, other workers, model and data."""
    RECOVERY = "recovery"
    """From the last step before a loss to the first one after it."""
    RESIZE = "resize"
    """The same around a planned change of workers."""
    REWORK = "rework"
    """Steps that had been done before."""
    CHECKPOINT = "checkpoint"
    EVALUATION = "evaluation"
    EXPORT = "export"


_PHASES = {Phase.SAVE: Lost.CHECKPOINT, Phase.EVALUATE: Lost.EVALUATION, Phase.EXPORT: Lost.EXPORT}
"""Phases that are a cause by themselves; the others belong to what brought them."""

Book = Callable[[Lost | None, float], None]
"""Takes the seconds lost to a cause; without one, those of steps that count."""


class TimeAccount:
    """Books every second from its making to the end of the worker's last world."""

    def __init__(self, book: Book, *, now_s: float) -> None:
        self._book = book
        self._since_s = now_s
        self._occasion: Lost | None = Lost.STARTUP
        """Why the next step is a first one."""
        self._phase: Phase | None = None
        self._reached = 0
        """The greatest step so far."""
        self._is_over = False

    def follow(self, before: Worker, event: Event, after: Worker, *, now_s: float) -> None:
        """Take up an event, with the worker before and after it."""
        if after.state is AgentState.DONE or after.exit_code is not None:
            self._close(self._use, now_s)
            self._is_over = True
            return
        if self._is_over:
            self._is_over, self._since_s = False, now_s
        if before.membership is not None and _is_over(before.membership, after):
            self._close_phase(now_s)
            is_planned = before.membership.stop_durable is not None and after.failure is None
            self._occasion = self._occasion or (Lost.RESIZE if is_planned else Lost.RECOVERY)
        match event:
            case Said(slot=0, message=Stepped(step=step)):
                is_again = self._occasion is None and step <= self._reached
                self._close(Lost.REWORK if is_again else self._occasion, now_s)
                self._reached = max(self._reached, step)
                self._occasion, self._phase = None, Phase.TRAIN
            case Said(slot=0, message=PhaseBegun(phase=phase)):
                if phase in _PHASES or self._phase in _PHASES:
                    self._close(self._use, now_s)
                self._phase = phase
            case _:
                pass

    def settle(self, *, now_s: float) -> None:
        """Book what is lost up to now; a step that is under way is not known to count yet."""
        if self._use is not None:
            self._close(self._use, now_s)

    @property
    def _use(self) -> Lost | None:
        return _PHASES.get(self._phase, self._occasion) if self._phase is not None else self._occasion

    def _close_phase(self, now_s: float) -> None:
        if self._phase in _PHASES:
            self._close(self._use, now_s)
        self._phase = None

    def _close(self, use: Lost | None, now_s: float) -> None:
        if not self._is_over:
            self._book(use, now_s - self._since_s)
        self._since_s = now_s


def _is_over(inside: Membership, after: Worker) -> bool:
    """Whether the worker is not in this world any more, or the world is known to be lost."""
    now = after.membership
    if now is None or now.run.world != inside.run.world:
        return inside.failure is None
    return now.failure is not None and inside.failure is None
