"""The process that has imported what ranks need, and makes each of them in some milliseconds."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from everstep_agent.lastwords import keep_end, name_signal
from everstep_agent.lines import Line, Listener, Stranger
from everstep_agent.output import Output
from everstep_api.wire.ranks import Exited, Fork, ServerReady, ToAgent

COMMAND = (sys.executable, "-m", "everstep_trainer.forkserver")

_START_TIMEOUT_S = 300.0
"""Its imports take 3 s, and some minutes when they are read from a network volume for the first time."""
_EXIT_WAIT_S = 0.05


class ForkServer:
    """The one fork server of an agent's life: with it the agent ends, and the container begins anew."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        ready: Callable[[], None],
        exited: Callable[[Exited], None],
        lost: Callable[[str, str], None],
    ) -> None:
        self.is_ready = False
        self._command = command
        self._ready = ready
        self._exited = exited
        self._lost = lost
        self._pid: int | None = None
        self._output: Output | None = None
        self._line: Line | None = None
        self._is_lost = False
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_started(self) -> bool:
        """Whether it was started."""
        return self._pid is not None

    def start(self) -> None:
        """Start it. It finds the agent's socket, and everything else, in the environment of the agent."""
        reading, writing = os.pipe()
        # A group of its own: Ctrl-C in a terminal is for the agent, which ends its ranks as it should.
        self._pid = os.posix_spawn(
            self._command[0],
            list(self._command),
            # Lines that a killed rank had printed, and Python kept, would be missing in its last words.
            os.environ | {"PYTHONUNBUFFERED": "1"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writing, 1),
                (os.POSIX_SPAWN_DUP2, writing, 2),
            ],
            setpgroup=0,
        )
        os.close(writing)
        self._output = Output(reading)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(_START_TIMEOUT_S, self._lose, f"was not ready after {_START_TIMEOUT_S:.0f} s")

    def greet(self, message: ServerReady, line: Line) -> Listener:
        """Take up its connection."""
        if message.pid != self._pid:
            line.close()  # of an agent before this one
            return Stranger()
        self._line = line
        self.is_ready = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._ready()
        return self

    def fork(self, slot: int, output: Path) -> None:
        """Ask for a process; it connects by itself."""
        if self._line is not None:
            self._line.tell(Fork(slot=slot, output=str(output)))

    def hear(self, message: ToAgent) -> None:
        """Take up what it says."""
        if isinstance(message, Exited):
            self._exited(message)

    def end(self) -> None:
        """Its connection is closed; in a moment its process is reaped, and it is known how it ended."""
        asyncio.get_running_loop().call_later(_EXIT_WAIT_S, self._lose, "closed its connection")

    def reaped(self, pid: int, exit_code: int) -> None:
        """Take up the end of a child of this process, negative for a signal."""
        if pid == self._pid:
            self._lose(
                f"ended with exit code {exit_code}" if exit_code >= 0 else f"was ended by {name_signal(-exit_code)}"
            )

    def kill(self) -> None:
        """End it."""
        self._is_lost = True
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _lose(self, how: str) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self.is_ready = False
        if self._deadline is not None:
            self._deadline.cancel()
        words = keep_end(self._output.last()) if self._output is not None else ""
        self._lost(f"The fork server {how}; its container starts again.", words)
