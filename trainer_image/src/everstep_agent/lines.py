"""The Unix socket over which the processes of a worker talk to their agent: one JSON message a line.

Messages are handed on while they are read, without a task or a queue between: a rank's end is known in the turn of the
event loop in which the kernel tells of it.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from everstep_api.wire.decode import MalformedMessageError, decode, encode
from everstep_api.wire.ranks import Fork, Hello, ServerReady, ToAgent, ToRank

_log = logging.getLogger(__name__)

_LONGEST_LINE_BYTES = 1 << 20
"""A traceback through a large model has some thousand lines; a line beyond this comes from a process gone astray."""


class Listener(Protocol):
    """Who hears what a process says."""

    def hear(self, message: ToAgent) -> None:
        """Take up a message."""

    def end(self) -> None:
        """The other end has closed: nothing more will come."""


class Stranger:
    """Listens to a process that is not wanted, whose line was closed and which ends by that."""

    def hear(self, message: ToAgent) -> None:
        """Nobody asks for it."""

    def end(self) -> None:
        """Nobody misses it."""


class Line(Protocol):
    """What a listener needs of its connection."""

    def tell(self, message: ToRank | Fork) -> None:
        """Send a message, unless the other end is gone."""

    def close(self) -> None:
        """Hang up, by which the other end knows that it is not wanted."""


Greeter = Callable[[ServerReady | Hello, Line], Listener]
"""Called with the first message of each connection; returns who hears the others."""


class _Conversation(asyncio.Protocol):
    def __init__(self, greet: Greeter) -> None:
        self._greet = greet
        self._listener: Listener | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream socket has no other kind
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            for line in lines:
                self._hear(decode(line, ToAgent))
        except MalformedMessageError as error:
            self._hang_up(str(error))
        if len(self._rest) > _LONGEST_LINE_BYTES:
            self._hang_up(f"A line is longer than {_LONGEST_LINE_BYTES} bytes")

    def connection_lost(self, _: Exception | None) -> None:
        if self._listener is not None:
            self._listener.end()

    def tell(self, message: ToRank | Fork) -> None:
        if not self._transport.is_closing():
            self._transport.write(encode(message) + b"\n")

    def close(self) -> None:
        self._transport.close()

    def _hang_up(self, reason: str) -> None:
        _log.warning("Hung up on a process of this worker, since it said what is no message: %s", reason)
        self._transport.abort()

    def _hear(self, message: ToAgent) -> None:
        if self._listener is not None:
            self._listener.hear(message)
        elif isinstance(message, ServerReady | Hello):
            self._listener = self._greet(message, self)
        else:
            raise MalformedMessageError(f"The first message is {message.kind!r} instead of 'hello' or 'server-ready'")


async def listen(path: Path, greet: Greeter) -> asyncio.AbstractServer:
    """Open the socket; what a process before this one left there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return await asyncio.get_running_loop().create_unix_server(lambda: _Conversation(greet), path=str(path))
