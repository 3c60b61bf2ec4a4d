"""The control plane: etcd and the API server, and on a whole cluster what makes objects happen.

`ControlPlane` is that of a cluster: a machine of its own on the bridge, so that every node can be killed without it.
`LocalControlPlane` is etcd and the API server alone on loopback, for tests that need real objects but no pods.
"""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import ClassVar, Self

from devcluster import dns, processes
from devcluster.apiserver import ApiServer
from devcluster.build import binaries
from devcluster.kubectl import Kubectl
from devcluster.network import is_listening
from devcluster.problem import DevclusterError
from devcluster.settings import NODE_GRACE_PERIOD_S, Plan
from devcluster.waiting import wait_until

_READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """The control plane of a cluster, in a network namespace of its own."""

    parts: ClassVar = ("etcd", "apiserver", "controller-manager", "scheduler", "coredns")

    plan: Plan
    binaries: Path

    @property
    def server(self) -> ApiServer:
        """Its API server."""
        return ApiServer(
            binaries=self.binaries,
            folder=self.plan.folder,
            address=str(self.plan.control_plane_address),
            port=6443,
            etcd_port=2379,
            etcd_peer_port=2380,
            services=self.plan.services,
        )

    def is_running(self) -> bool:
        """Whether any part of it runs, and so its network must stay."""
        return any(processes.find(self.plan.mark(part)) for part in self.parts)

    def make_certificates(self) -> None:
        """Make what nodes and clients need of it before it runs."""
        self.server.make_kubeconfig("admin", user="admin", groups=["system:masters"], context=self.plan.name)

    def start(self) -> None:
        """Start what does not run, and return once the API server is ready and knows the cluster's DNS."""
        self.make_certificates()
        self.start_etcd()
        self.start_apiserver()
        self._start_controllers()

    def start_etcd(self) -> None:
        """Start etcd; return once it accepts connections."""
        self._spawn("etcd", self.server.etcd_command())
        wait_until(
            lambda: any(is_listening(pid, self.server.etcd_port) for pid in processes.find(self.plan.mark("etcd"))),
            timeout_s=_READY_TIMEOUT_S,
            failure=f"etcd does not listen after {_READY_TIMEOUT_S:.0f} s; see {self._log('etcd')}.",
        )

    def stop_etcd(self) -> None:
        """Kill etcd; its data stay."""
        processes.end(processes.find(self.plan.mark("etcd")))

    def start_apiserver(self) -> None:
        """Start the API server; return once it is ready."""
        self._spawn("apiserver", self.server.command())
        wait_until(
            self.server.is_ready,
            timeout_s=_READY_TIMEOUT_S,
            failure=f"The API server is not ready after {_READY_TIMEOUT_S:.0f} s; see {self._log('apiserver')}.",
        )

    def stop_apiserver(self) -> None:
        """Kill the API server: connections break at once."""
        processes.end(processes.find(self.plan.mark("apiserver")))

    def _start_controllers(self) -> None:
        pki, ca = self.server.pki, self.server.authority
        manager = self.server.make_kubeconfig("controller-manager", user="system:kube-controller-manager")
        scheduler = self.server.make_kubeconfig("scheduler", user="system:kube-scheduler")
        resolver = self.server.make_kubeconfig("coredns", user="system:coredns")
        common = ["--leader-elect=false", "--bind-address=127.0.0.1"]
        self._spawn(
            "controller-manager",
            [
                self.binaries / "kube-controller-manager",
                *(f"--{use}kubeconfig={manager}" for use in ("", "authentication-", "authorization-")),
                f"--service-account-private-key-file={pki / 'sa.key'}",
                f"--root-ca-file={ca.certificate}",
                f"--cluster-signing-cert-file={ca.certificate}",
                f"--cluster-signing-key-file={ca.key}",
                "--use-service-account-credentials=true",
                "--node-monitor-period=1s",
                f"--node-monitor-grace-period={NODE_GRACE_PERIOD_S}s",
                *common,
            ],
        )
        self._spawn(
            "scheduler",
            [
                self.binaries / "kube-scheduler",
                *(f"--{use}kubeconfig={scheduler}" for use in ("", "authentication-", "authorization-")),
                *common,
            ],
        )
        Kubectl(binary=self.binaries / "kubectl", kubeconfig=self.plan.kubeconfig).apply(dns.ROLE)
        corefile = self.plan.folder / "Corefile"
        corefile.write_text(dns.corefile(address=str(self.plan.control_plane_address), kubeconfig=resolver))
        self._spawn("coredns", [self.binaries / "coredns", "-conf", corefile])

    def _spawn(self, component: str, command: Sequence[str | Path]) -> None:
        mark = self.plan.mark(component)
        if not processes.find(mark):
            namespace = self.plan.control_plane_namespace
            processes.spawn(command, mark=mark, log=self._log(component), namespace=namespace)

    def _log(self, component: str) -> Path:
        return self.plan.folder / "log" / f"{component}.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalControlPlane:
    """etcd and an API server on loopback; they end with the process that started them, however it ends."""

    server: ApiServer
    kubeconfig: Path
    _running: dict[str, subprocess.Popen[bytes]]

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as an administrator."""
        return Kubectl(binary=self.server.binaries / "kubectl", kubeconfig=self.kubeconfig)

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        """Start one in a temporary folder; stop it and remove the folder at the end.

        Raises:
            DevclusterError: it is not ready after 60 s; the message holds the last lines of its log.
        """
        folder = Path(tempfile.mkdtemp(prefix="everstep-control-plane-"))
        etcd_port, etcd_peer_port, port = _free_ports(3)
        server = ApiServer(
            binaries=binaries(),
            folder=folder,
            address="127.0.0.1",
            port=port,
            etcd_port=etcd_port,
            etcd_peer_port=etcd_peer_port,
            services=IPv4Network("10.0.0.0/24"),
        )
        kubeconfig = server.make_kubeconfig("admin", user="admin", groups=["system:masters"])
        plane = cls(server=server, kubeconfig=kubeconfig, _running={})
        try:
            plane._spawn("etcd", server.etcd_command())
            plane.start_apiserver()
            yield plane
        finally:
            for process in plane._running.values():
                process.kill()
                process.wait()
            shutil.rmtree(folder)

    def start_apiserver(self) -> None:
        """Start the API server; return once it is ready."""
        self._spawn("apiserver", self.server.command())
        _await_ready(self.server, list(self._running.values()))

    def stop_apiserver(self) -> None:
        """Kill the API server: connections break at once. etcd keeps what it had."""
        process = self._running.pop("apiserver")
        process.kill()
        process.wait()

    def _spawn(self, name: str, command: Sequence[str | Path]) -> None:
        with (self.server.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def _await_ready(server: ApiServer, started: Sequence[subprocess.Popen[bytes]]) -> None:
    def is_settled() -> bool:
        return server.is_ready() or any(process.poll() is not None for process in started)

    def last_words() -> str:
        lines = [line for log in server.folder.glob("*.log") for line in log.read_text().splitlines()[-5:]]
        return "\n".join(lines)

    with suppress(DevclusterError):
        wait_until(is_settled, timeout_s=_READY_TIMEOUT_S, failure="")
    if not server.is_ready():
        raise DevclusterError(f"The local API server did not become ready. Its last words:\n{last_words()}")


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now, all held open until the last is known, so that no two are the same."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()
