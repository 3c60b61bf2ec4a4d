"""What a process prints: it goes through to the agent's own output, line by line, and the last of it is kept.

A pipe for each process, since ranks of one fork server share its output and could not be told apart.
"""

import asyncio
import os
import sys
from pathlib import Path

from everstep_api.wire.sync import LONGEST_WORDS_BYTES

_READ_BYTES = 65_536
"""What a pipe holds."""


class Output:
    """The reading end of the pipe that takes a process's output."""

    def __init__(self, descriptor: int, path: Path | None = None) -> None:
        self.prefix = b""
        self._descriptor = descriptor
        self._path = path
        self._line = b""
        self._kept = bytearray()
        self._is_open = True
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    @classmethod
    def named(cls, path: Path) -> "Output":
        """Make a pipe that a process opens by its name."""
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        return cls(os.open(path, os.O_RDONLY | os.O_NONBLOCK), path)

    def last(self) -> str:
        """Return the end of what was printed until this moment, 8 kB at least if there was as much."""
        self._read()
        return self._kept.decode(errors="replace")

    def forget_name(self) -> None:
        """Remove the name, once the process has opened it."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def close(self) -> None:
        """Read no more; whoever still writes gets a broken pipe."""
        self.forget_name()
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._pass_on(self._line + b"\n" if self._line else b"")

    def _read(self) -> None:
        while self._is_open:
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                # Nobody has it open: the process is gone, or has not begun. An end that is not looked at any more would
                # be told again and again.
                asyncio.get_running_loop().remove_reader(self._descriptor)
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * LONGEST_WORDS_BYTES:
            del self._kept[:-LONGEST_WORDS_BYTES]
        whole, line_end, rest = (self._line + data).rpartition(b"\n")
        # A bar of progress that never ends its line is passed on in pieces.
        self._line, whole = (b"", whole + line_end + rest) if len(rest) > _READ_BYTES else (rest, whole + line_end)
        self._pass_on(whole)

    def _pass_on(self, lines: bytes) -> None:
        if lines:
            text = b"".join(self.prefix + line for line in lines.splitlines(keepends=True)) if self.prefix else lines
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
