"""One process that the fork server made: first a spare, then a rank of one world."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from everstep_agent.lastwords import Ending
from everstep_agent.lines import Line
from everstep_agent.output import Output
from everstep_api.wire.ranks import Enter, Exited, FromRank, Hello, ToAgent, ToRank

_EXIT_WAIT_S = 0.05
"""How long a loss waits for its exit code, which the fork server tells a few milliseconds later: half of the 0.1 s in
which the operator shall know."""


class Rank:
    """A process, watched in three ways, since each alone fails in some case.

    Its connection may be held open by a child of its own; its handle (pidfd) tells of its end, but not how it ended;
    and the fork server, which tells how, may be gone itself.
    """

    def __init__(
        self,
        hello: Hello,
        line: Line,
        output: Output,
        *,
        said: Callable[["Rank", FromRank], None],
        ended: Callable[["Rank", Ending], None],
    ) -> None:
        self.pid = hello.pid
        self.slot = hello.slot
        self.world: int | None = None
        """Absent while it is a spare."""
        self.is_wanted = True
        """Whether its end would be a loss."""
        self._line = line
        self._output = output
        self._said = said
        self._ended = ended
        self._exit: Exited | None = None
        self._has_hung_up = False
        self._conclusion: asyncio.TimerHandle | None = None
        self._is_concluded = False
        output.forget_name()
        self._handle = self._open_handle()

    def enter(self, message: Enter) -> None:
        """Make it a rank of a world; with several ranks in a worker its lines are told apart by a prefix."""
        self.world = message.world
        if message.ranks_per_worker > 1:
            self._output.prefix = f"rank {message.rank}: ".encode()
        self._line.tell(message)

    def tell(self, message: ToRank) -> None:
        """Send it a message."""
        self._line.tell(message)

    def kill(self) -> None:
        """End it; what it says or how it ends is of no interest from here on."""
        self.is_wanted = False
        self._kill()

    def hear(self, message: ToAgent) -> None:
        """Take up what it says."""
        if self.is_wanted and isinstance(message, FromRank):
            self._said(self, message)

    def end(self) -> None:
        """Its connection is closed."""
        self._has_hung_up = True
        self._suspect()

    def exited(self, message: Exited) -> None:
        """The fork server has told how it ended."""
        self._exit = message
        self._suspect()

    def _open_handle(self) -> int | None:
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._suspect()
            return None
        asyncio.get_running_loop().add_reader(handle, self._end_process)
        return handle

    def _end_process(self) -> None:
        self._close_handle()
        self._suspect()

    def _suspect(self) -> None:
        # Its last lines may still be in the socket when its end is known, so that end is awaited too.
        if self._exit is not None and self._has_hung_up:
            self._conclude()
        elif self._conclusion is None and not self._is_concluded:
            self._conclusion = asyncio.get_running_loop().call_later(_EXIT_WAIT_S, self._conclude)

    def _conclude(self) -> None:
        if self._is_concluded:
            return
        self._is_concluded = True
        if self._conclusion is not None:
            self._conclusion.cancel()
        self._kill()  # a process without a connection to us is lost, even if it lives
        self._close_handle()
        self._line.close()
        told = self._exit
        ending = Ending(
            exit_code=told.exit_code if told is not None else None,
            signal=told.signal if told is not None else None,
            output=self._output.last(),
        )
        self._output.close()
        self._ended(self, ending)

    def _kill(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _close_handle(self) -> None:
        if self._handle is not None:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None
