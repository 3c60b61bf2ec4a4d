"""Imports everything once, then makes each rank in milliseconds by a fork.

    python -m everstep_trainer.forkserver    with EVERSTEP_SOCKET and EVERSTEP_CACHE

A child of a process that ran a parallel operation, or used the object store, hangs for ever. So this process has one
thread, makes no tensor, and checks it: with a second thread it refuses to begin.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from everstep_api.wire.decode import decode, encode
from everstep_api.wire.ranks import Exited, Fork, FromServer, ServerReady

ENVIRONMENT = {
    # Libraries that start a thread for each core when they are loaded. Ranks share their machine's cores.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Whether there is a GPU is asked without opening it, which a child could not do again.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
"""Set where the worker's own environment is silent, before anything heavy is imported."""

Live = Callable[[int, Path, Path], NoReturn]


def main() -> None:
    """Serve until the agent hangs up."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    live = _import_everything()
    threads = list(Path("/proc/self/task").iterdir())
    if len(threads) != 1:
        sys.exit(
            f"The fork server has {len(threads)} threads after its imports, and children of such a process hang. Find"
            " what starts them: a sitecustomize, or a library that spec.workers.env lets use several threads."
        )
    # Children write to no page of these objects, so the memory stays shared.
    gc.collect()
    gc.freeze()
    Server(Path(os.environ["EVERSTEP_SOCKET"]), Path(os.environ["EVERSTEP_CACHE"]), live).serve()
    os._exit(0)  # unloading what was imported takes a second, and some of it complains


def _import_everything() -> Live:
    from everstep_trainer.rank import live  # noqa: PLC0415 - after the environment is set, which numpy reads at import

    return live


class Server:
    """Forks on demand and tells how each child ended."""

    def __init__(self, path: Path, cache: Path, live: Live) -> None:
        self._path = path
        self._cache = cache
        self._live = live
        self._agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._woken, self._waker = socket.socketpair()

    def serve(self) -> None:
        """Return when the agent hangs up. Ranks end by their own lines to it."""
        self._agent.connect(str(self._path))
        for end in (self._woken, self._waker):
            end.setblocking(False)  # noqa: FBT003 - the call has no name for it
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler of Python's is what writes to the wakeup socket
        self._tell(ServerReady(pid=os.getpid()))
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._agent, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        self._reap()
                        continue
                    data = self._agent.recv(65_536)
                    if not data:
                        return
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._fork(decode(line, Fork))

    def _fork(self, order: Fork) -> None:
        if os.fork() != 0:
            return
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self._agent, self._woken, self._waker):
                inherited.close()
            _redirect_output(order.output)
            self._live(order.slot, self._path, self._cache)
        finally:
            os._exit(1)  # whatever happens, a child never runs on as a server

    def _reap(self) -> None:
        self._woken.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            ended = Exited(pid=pid, signal=-code) if code < 0 else Exited(pid=pid, exit_code=code)
            self._tell(ended)

    def _tell(self, message: FromServer) -> None:
        self._agent.sendall(encode(message) + b"\n")


def _redirect_output(path: str) -> None:
    """Let standard output and error go into the agent's pipe."""
    pipe = os.open(path, os.O_WRONLY)
    os.dup2(pipe, 1)
    os.dup2(pipe, 2)
    os.close(pipe)


if __name__ == "__main__":
    main()
