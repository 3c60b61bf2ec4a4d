"""Operators as they run in a pod: processes of `python -m everstep_operator`."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

ADDRESS = "192.0.2.1"
"""What stands in the EndpointSlice; API servers refuse loopback there. Nobody connects to it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A process of an operator."""

    name: str
    sync_port: int
    probe_port: int
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, *, name: str, kubeconfig: Path, namespace: str, folder: Path, flags: tuple[str, ...] = ()) -> Self:
        """Start one."""
        here = (f"--namespace={namespace}", f"--watch-namespace={namespace}")
        return cls.told(name=name, kubeconfig=kubeconfig, folder=folder, flags=(*here, *flags))

    @classmethod
    def told(cls, *, name: str, kubeconfig: Path, folder: Path, flags: tuple[str, ...]) -> Self:
        """Start one that knows of its place by the flags alone; its ports are free ones of this machine."""
        sync_port, probe_port = _free_ports(2)
        log = folder / f"{name}.log"
        command = [
            "setpriv",
            "--pdeathsig=KILL",
            "--",
            sys.executable,
            "-m",
            "everstep_operator",
            f"--kubeconfig={kubeconfig}",
            *flags,
            f"--pod-name={name}",
            f"--pod-ip={ADDRESS}",
            f"--sync-port={sync_port}",
            f"--probe-port={probe_port}",
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        return cls(name=name, sync_port=sync_port, probe_port=probe_port, log=log, process=process)

    def stop(self) -> int:
        """End it as a kubelet does; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)

    def kill(self) -> None:
        """End it as a power failure does."""
        self.process.kill()
        self.process.wait(timeout=10)

    def ask(self, path: str) -> str:
        """What it answers to the kubelet and to Prometheus."""
        # Not urlopen: it leaves the connection open when the process ends between the connect and the request.
        with closing(HTTPConnection("127.0.0.1", self.probe_port, timeout=5)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return self.ask("/healthz") == "ok\n"
        except (OSError, HTTPException):
            return False

    @property
    def words(self) -> str:
        """What it has said."""
        return f"--- {self.name} (pid {self.process.pid}, of {os.getpid()})\n{self.log.read_text()}"


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, all held open until the last is known."""
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    try:
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()
