"""A worker's agent as far as its processes can tell: a socket, a fork server, ranks that say what they do."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from everstep_api.wire.decode import decode, encode
from everstep_api.wire.ranks import Enter, Exited, Fork, Hello, Job, ServerReady, ToAgent, Warm

TIMEOUT_S = 240.0
"""Of one wait. A fork server imports torch and transformers in 5 s on two idle cores, in minutes on busy ones."""
JOB = Job(namespace="default", name="toy", uid="u1")

T = TypeVar("T")


class Conversation:
    """One connection of a process."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT_S)
        self._connection = connection
        self._lines = connection.makefile("rb")
        self.heard: list[ToAgent] = []

    def tell(self, message: Any) -> None:
        self._connection.sendall(encode(message) + b"\n")

    def hear(self) -> ToAgent | None:
        """The next message, or None at the end of the line."""
        line = self._lines.readline()
        if not line:
            return None
        message: ToAgent = decode(line, ToAgent)
        self.heard.append(message)
        return message

    def hear_until(self, kind: type[T]) -> T:
        """The next message of this kind."""
        while True:
            message = self.hear()
            if isinstance(message, kind):
                return message
            if message is None:
                raise EOFError(f"The process ended before it said {kind.__name__}; it said {self.heard[-3:]}.")

    def hang_up(self) -> None:
        self._lines.close()
        self._connection.close()


class Agent:
    """One worker."""

    def __init__(self, folder: Path, listener: socket.socket, server: Conversation) -> None:
        self._folder = folder
        self._listener = listener
        self.server = server
        self.ranks: list[Conversation] = []
        self._exits: dict[int, Exited] = {}

    def fork(self, slot: int = 0) -> tuple[int, Conversation]:
        """A new process, and its pid."""
        output = self._folder / f"output-{slot}"
        output.touch()
        self.server.tell(Fork(slot=slot, output=str(output)))
        rank = _accept(self._listener)
        self.ranks.append(rank)
        hello = rank.hear_until(Hello)
        assert hello.slot == slot
        return hello.pid, rank

    def output(self, slot: int = 0) -> str:
        """What the slot's processes have printed."""
        return (self._folder / f"output-{slot}").read_text()

    def exit_of(self, pid: int) -> Exited:
        """How a process ended."""
        while pid not in self._exits:
            ended = self.server.hear_until(Exited)
            self._exits[ended.pid] = ended
        return self._exits[pid]


@contextmanager
def an_agent(folder: Path) -> Iterator[Agent]:
    """An agent whose fork server is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "agent.sock"
    environment = os.environ | {"EVERSTEP_SOCKET": str(path), "EVERSTEP_CACHE": str(folder / "cache")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(TIMEOUT_S)
        with subprocess.Popen([sys.executable, "-m", "everstep_trainer.forkserver"], env=environment) as process:
            try:
                server = _accept(listener)
                assert server.hear_until(ServerReady).pid == process.pid
                agent = Agent(folder, listener, server)
                yield agent
                for line in (*agent.ranks, server):
                    line.hang_up()
                assert process.wait(TIMEOUT_S) == 0
            finally:
                process.kill()


def a_warm_rank(agent: Agent, slot: int = 0) -> tuple[int, Conversation]:
    """A spare that has rehearsed."""
    pid, rank = agent.fork(slot)
    rank.hear_until(Warm)
    return pid, rank


def an_enter(spec: dict[str, Any], *, world: int = 1, rank: int = 0, size: int = 1) -> Enter:
    """The order to become a rank, each in a worker of its own."""
    return Enter(
        job=JOB, world=world, rank=rank, size=size, local_rank=0, ranks_per_worker=1, spec=spec, host="127.0.0.1"
    )


def _accept(listener: socket.socket) -> Conversation:
    connection, _ = listener.accept()
    return Conversation(connection)
