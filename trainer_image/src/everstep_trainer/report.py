"""A rank's line to its agent: JSON lines over a Unix socket, one message a line.

A thread reads, since the end of the line ends the process wherever it stands: a rank whose agent is gone must not go on
training, and one that is stuck in a collective cannot look.
"""

import logging
import os
import socket
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Lock, Thread
from typing import NoReturn, TypeVar

from everstep_api.wire.decode import MalformedMessageError, decode, encode
from everstep_api.wire.ranks import FromRank, FromServer, Held, StopAfterStep, ToRank

log = logging.getLogger(__name__)

EXIT_WITHOUT_AGENT = 3
"""Exit code of a process whose agent is gone; nobody is left to read it but a person."""

T = TypeVar("T")


class AgentLine:
    """Tells the agent what happens here, and hears what it wants."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._writing = Lock()
        self._heard: SimpleQueue[ToRank] = SimpleQueue()
        self._stop: StopAfterStep | None = None
        self._held: Held | None = None
        self._holding = Condition()

    @property
    def stop(self) -> StopAfterStep | None:
        """The wish to stop after a step, if there is one; a durable one is not taken back by one that is not."""
        return self._stop

    def tell(self, message: FromRank | FromServer) -> None:
        """Say it. From any thread."""
        with self._writing:
            try:
                self._socket.sendall(encode(message) + b"\n")
            except OSError:
                _end()

    def held(self, step: int, *, within_s: float = 0.0) -> Held | None:
        """What the agent says of the snapshot of this step, or None when it says nothing within the time."""
        with self._holding:
            self._holding.wait_for(lambda: self._held is not None and self._held.step == step, within_s)
            return self._held if self._held is not None and self._held.step == step else None

    def listen(self) -> None:
        """Begin to hear, on a thread."""
        Thread(target=self._hear, name="agent", daemon=True).start()

    def wait_for(self, kind: type[T]) -> T:
        """The next message of this kind, however long it takes: a spare waits as long as it is one."""
        while True:
            message = self._heard.get()
            if isinstance(message, kind):
                return message

    def _hear(self) -> None:
        with self._socket.makefile("rb") as lines:
            try:
                for line in lines:
                    self._take(decode(line, ToRank))
            except OSError:
                _end()
            except MalformedMessageError:
                log.exception("The agent says what this rank does not understand, so they are of different releases.")
        _end()

    def _take(self, message: ToRank) -> None:
        if isinstance(message, StopAfterStep):
            self._stop = StopAfterStep(durable=message.durable or (self._stop is not None and self._stop.durable))
        elif isinstance(message, Held):
            with self._holding:
                self._held = message
                self._holding.notify_all()
        else:
            self._heard.put(message)


def _end() -> NoReturn:
    os._exit(EXIT_WITHOUT_AGENT)
