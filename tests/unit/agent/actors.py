"""A fork server and its ranks as tiny programs: they speak `wire.ranks`, and act what the job's spec says under `play`.

`play.steps` is how long the job is; `play.act` is what rank `play.by` does after step 2 of world 1. Each spare prints
its process id, so that a test can find it.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from everstep_api.wire import ranks
from everstep_api.wire.decode import decode, encode
from everstep_api.wire.sync import Phase, Resumed, StatePoint

_STEP_S = 0.02


class Line:
    """The agent's socket, from a process's side."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["EVERSTEP_SOCKET"])
        self._rest = b""
        self._lines: list[bytes] = []

    def say(self, message: Any) -> None:
        self.socket.sendall(encode(message) + b"\n")

    def hear(self, wanted: Any, within_s: float | None = None) -> Any:
        """The next message, or None if none came in time. Ends the process when the agent has hung up."""
        while not self._lines:
            if not select.select([self.socket], [], [], within_s)[0]:
                return None
            data = self.socket.recv(65536)
            if not data:
                os._exit(0)
            *self._lines, self._rest = (self._rest + data).split(b"\n")
        return decode(self._lines.pop(0), wanted)


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def serve() -> NoReturn:
    """Be a fork server."""
    line = Line()
    line.say(ranks.ServerReady(pid=os.getpid()))
    show(f"server pid={os.getpid()}")
    children: dict[int, int] = {}
    while True:
        ready = select.select([line.socket.fileno(), *children], [], [])[0]
        for handle in [handle for handle in ready if handle in children]:
            pid, status = os.waitpid(children.pop(handle), 0)
            os.close(handle)
            code = os.waitstatus_to_exitcode(status)
            line.say(ranks.Exited(pid=pid, exit_code=code) if code >= 0 else ranks.Exited(pid=pid, signal=-code))
        while line.socket.fileno() in ready and (message := line.hear(ranks.Fork, within_s=0)) is not None:
            pid = os.fork()
            if pid == 0:
                line.socket.close()
                be_a_spare(message)
            children[os.pidfd_open(pid)] = pid


def be_a_spare(fork: ranks.Fork) -> NoReturn:
    """Be a spare, and then the rank of a world."""
    output = os.open(fork.output, os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(output, True)
    os.dup2(output, 1)
    os.dup2(output, 2)
    line = Line()
    line.say(ranks.Hello(pid=os.getpid(), slot=fork.slot))
    if os.environ.get("SPARES") == "die":
        show("no room for a spare")
        os._exit(7)
    line.say(ranks.Warm())
    enter = line.hear(ranks.ToRank)
    show(f"entered world={enter.world} rank={enter.rank} size={enter.size} pid={os.getpid()}")
    code = Rank(line, enter).train()
    os._exit(code)


class Rank:
    """A rank that trains on nothing."""

    def __init__(self, line: Line, enter: ranks.Enter) -> None:
        self.line = line
        self.enter = enter
        self.play = enter.spec.get("play", {})

    def train(self) -> int:
        """Train until the job is done, the world is left, or the play wants another end; return the exit code."""
        first = self.enter.rank == 0
        resume = Resumed(world=self.enter.world - 1, step=2, tier="Durable") if self.enter.world > 1 else None
        if first:
            self.line.say(ranks.StoreOpened(port=10_000 + self.enter.world, resume=resume))
            self.line.say(ranks.Planned(total_steps=self.play.get("steps", 10_000), most_ranks=16))
        else:
            store = self.line.hear(ranks.ToRank)
            show(f"joined port={store.port} resume={store.resume}")
        self.line.say(ranks.PhaseBegun(phase=Phase.TRAIN))
        for step in range(1, self.play.get("steps", 10_000) + 1):
            if step == 3 and self.enter.world == 1 and self.play.get("by") == self.enter.rank:
                act = _ACTS[self.play["act"]]
                return act(self)
            message = self.line.hear(ranks.ToRank, within_s=_STEP_S)
            self.line.say(
                ranks.Stepped(step=step, seconds=_STEP_S, loss=1 / step, tokens=100)
                if first
                else ranks.Stepped(step=step, seconds=_STEP_S)
            )
            if isinstance(message, ranks.StopAfterStep):
                return self.leave(step, durable=message.durable)
        self.line.say(ranks.Done(output="file:///model" if first else None))
        return 0

    def leave(self, step: int, *, durable: bool) -> int:
        if durable:
            point = StatePoint(world=self.enter.world, step=step)
            self.line.say(ranks.Saved(point=point, uri="file:///c", commit_time="t", seconds=0.5, size_bytes=10))
        self.line.say(ranks.Left(step=step))
        return 0


def _exit(_: Rank) -> int:
    show("\x1b[31mthe last line\x1b[0m")
    return 42


def _raise(rank: Rank) -> int:
    rank.line.say(ranks.Raised(exception="builtins.ValueError", message="bad row", traceback="Traceback: bad row"))
    return 1


def _refuse(rank: Rank) -> int:
    rank.line.say(ranks.Refused(sentence="spec.recipe is odd; make it even."))
    return 3


def _fence(rank: Rank) -> int:
    rank.line.say(ranks.Fenced(world_seen=7))
    return 4


def _hang_up(rank: Rank) -> int:
    rank.line.socket.close()
    signal.pause()
    return 0


def _leave_a_child(_: Rank) -> int:
    """Die while a child of its own holds the connection open, as an uploader does."""
    child = os.fork()
    show(f"left a child pid={child or os.getpid()}")
    if child == 0:
        signal.alarm(3)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _babble(rank: Rank) -> int:
    rank.line.socket.sendall(b'{"kind": "jump"}\n')
    signal.pause()
    return 0


_ACTS: dict[str, Callable[[Rank], int]] = {
    "exit": _exit,
    "raise": _raise,
    "refuse": _refuse,
    "fence": _fence,
    "hang up": _hang_up,
    "leave a child": _leave_a_child,
    "babble": _babble,
}

if __name__ == "__main__":
    serve()
