"""A node: its disk, its boot, and the faults that can befall it.

A node has the namespaces of a machine of its own. Killing its first process is a crash: the kernel takes everything
down and closes its sockets, so peers get a reset at once. With the cable out first it is a power failure: nobody hears
anything. The cable out alone is a partition.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster import certificates, cgroups, daemons, image_layers, network, processes, snapshots
from devcluster.apiserver import ApiServer
from devcluster.network import Machine
from devcluster.problem import DevclusterError
from devcluster.settings import Plan
from devcluster.waiting import wait_until

_BOOT_TIMEOUT_S = 30.0
_IMPORT_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a cluster, by its number from 1."""

    plan: Plan
    number: int
    server: ApiServer

    @property
    def name(self) -> str:
        """Its host name, and its name in Kubernetes."""
        return f"node{self.number}"

    @property
    def folder(self) -> Path:
        """Its disk, which outlives a crash."""
        return self.plan.node_folder(self.number)

    @property
    def machine(self) -> Machine:
        """Its place in the network."""
        return Machine(
            namespace=self.plan.node_namespace(self.number),
            address=self.plan.node_address(self.number),
            pods=self.plan.node_pods(self.number),
        )

    @property
    def cgroup(self) -> str:
        """The control group below which its pods live."""
        return f"{self.plan.cgroup}/{self.name}"

    # -- its life ----------------------------------------------------------------------------------------------------

    def is_running(self) -> bool:
        """Whether it is switched on."""
        return self._first_process() is not None

    def boot(self, neighbours: Sequence["Node"], images: Sequence[Path]) -> None:
        """Switch it on, or what of it is off, with its cable in; return once its daemons run.

        Args:
            neighbours: the nodes whose pods it can reach.
            images: archives that it holds before the first pod; those it has already cost little.
        """
        if not self.is_running():
            self._end_everything()
            network.add_machine(self.plan, self.machine, [node.machine for node in neighbours])
            self._write_configuration()
            # Without the groups of pods that died with it: the kubelet would ask 3 s long after each of them.
            cgroups.remove_group(self.cgroup)
            cgroups.make_group(self.cgroup)
            self._start_machine()
        # Also when it runs: whoever started it may have been cut off before it was ready.
        self._await_machine()
        network.set_cable(self.machine, up=True)
        if not self._is_daemon_running("containerd"):
            self._start_daemon("containerd", ["containerd", "--config", str(self.folder / "containerd.toml")])
            wait_until(
                self._is_containerd_ready,
                timeout_s=_BOOT_TIMEOUT_S,
                failure=f"containerd of {self.name} does not answer; see {self._log('containerd')}.",
            )
        for image in images:
            self.import_image(image)
        if not self._is_daemon_running("kubelet"):
            self._start_daemon("kubelet", self._kubelet_command())
        if not self._is_daemon_running("kube-proxy"):
            self._start_daemon("kube-proxy", self._kube_proxy_command())

    def boot_id(self) -> str:
        """Return what tells this boot from others; Kubernetes shows it in the node's status."""
        first = self._first_process()
        return Path(f"/proc/{first}/root/run/boot_id").read_text().strip() if first else ""

    def crash(self) -> None:
        """Kill all of it at once; peers get a reset."""
        self._end_everything()

    def silence(self) -> None:
        """Cut its power: whoever talks to it hears nothing any more."""
        if network.is_plugged_in(self.machine):
            network.set_cable(self.machine, up=False)
        self._end_everything()

    def isolate(self) -> None:
        """Pull its cable; it runs on and hears nobody."""
        if not self.is_running():
            raise DevclusterError(f"{self.name} is off; switch it on with `node boot {self.number}` first.")
        network.set_cable(self.machine, up=False)

    def heal(self) -> None:
        """Plug its cable in again."""
        if not self.is_running():
            raise DevclusterError(f"{self.name} is off; switch it on with `node boot {self.number}`.")
        network.set_cable(self.machine, up=True)

    def remove(self) -> None:
        """Remove all of it but its disk."""
        self._end_everything()
        network.remove_machine(self.machine)

    def state(self) -> str:
        """Say in a word how it is, as far as this machine can see."""
        if not self.is_running():
            return "off" if network.is_plugged_in(self.machine) else "silent"
        return "on" if network.is_plugged_in(self.machine) else "isolated"

    # -- images ------------------------------------------------------------------------------------------------------

    def import_image(self, archive: Path) -> None:
        """Let its containerd hold the images of a docker archive, or one that its cluster keeps in layers."""
        if archive.suffix == image_layers.SUFFIX:
            snapshots.add(image_layers.Description.read(archive).layers, archive.parent, ctr=self._ctr)
            self._ctr("images", "import", "--no-unpack", str(archive))
        else:
            self._ctr("images", "import", str(archive))

    def _ctr(self, *arguments: str) -> str:
        """Return what ctr prints in the node."""
        command = self._inside(["ctr", "--namespace=k8s.io", *arguments])
        said = " ".join(arguments)
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_IMPORT_TIMEOUT_S,
                check=False,
                env=processes.ENVIRONMENT,
            )
        except subprocess.TimeoutExpired:
            raise DevclusterError(
                f"`ctr {said}` in {self.name} has no end in {_IMPORT_TIMEOUT_S:.0f} s; see {self._log('containerd')}."
            ) from None
        if done.returncode != 0:
            raise DevclusterError(f"`ctr {said}` fails in {self.name}: {done.stderr.strip()}")
        return done.stdout

    # -- inside ------------------------------------------------------------------------------------------------------

    def _first_process(self) -> int | None:
        for pid in processes.find(self._mark("machine")):
            if processes.is_first_of_namespace(pid):
                return pid
        return None

    def _start_machine(self) -> None:
        # The interpreter itself, not the link of a virtual environment: the node needs the standard library alone.
        script = Path(__file__).with_name("machine.py")
        unshare = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--mount-proc", "--kill-child"]
        processes.spawn(
            [*unshare, "--", sys.executable, "-I", str(script), str(self.folder), self.name],
            mark=self._mark("machine"),
            log=self._log("machine"),
            namespace=self.machine.namespace,
        )

    def _await_machine(self) -> None:
        wait_until(
            lambda: Path(f"/proc/{self._first_process() or 0}/root/run/machine-is-ready").exists(),
            timeout_s=_BOOT_TIMEOUT_S,
            failure=f"{self.name} does not start; see {self._log('machine')}.",
        )

    def _start_daemon(self, name: str, command: Sequence[str]) -> None:
        processes.spawn(self._inside(command), mark=self._mark(name), log=self._log(name))

    def _is_daemon_running(self, name: str) -> bool:
        # Not `find`: the shims of pods carry the mark of the containerd that started them, and live on without it.
        return processes.is_running(self._mark(name))

    def _inside(self, command: Sequence[str]) -> list[str]:
        first = self._first_process()
        if first is None:
            raise DevclusterError(f"{self.name} is off; switch it on with `node boot {self.number}` first.")
        return ["nsenter", f"--target={first}", "--mount", "--pid", "--uts", "--ipc", "--net", "--", *command]

    def _is_containerd_ready(self) -> bool:
        command = self._inside(["ctr", "--timeout=5s", "version"])
        return (
            subprocess.run(command, capture_output=True, timeout=20, check=False, env=processes.ENVIRONMENT).returncode
            == 0
        )

    def _end_everything(self) -> None:
        processes.end(processes.find_below(self._mark("")))

    def _mark(self, component: str) -> str:
        return self.plan.mark(f"{self.name}/{component}")

    def _log(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.log"

    # -- configuration -----------------------------------------------------------------------------------------------

    def _kubelet_command(self) -> list[str]:
        user = f"system:node:{self.name}"
        kubeconfig = self.server.make_kubeconfig(f"kubelet{self.number}", user=user, groups=["system:nodes"])
        return [
            str(self.server.binaries / "kubelet"),
            f"--config={self.folder / 'kubelet.json'}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.machine.address}",
        ]

    def _kube_proxy_command(self) -> list[str]:
        return [str(self.server.binaries / "kube-proxy"), f"--config={self.folder / 'kube-proxy.json'}"]

    def _write_configuration(self) -> None:
        for part in ("cni", "containerd", "kubelet", "log", "var-log"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "resolv.conf").write_text(f"nameserver {self.plan.control_plane_address}\n")
        (self.folder / "containerd.toml").write_text(daemons.containerd(self.folder))
        proxy = self.server.make_kubeconfig(f"kube-proxy{self.number}", user="system:kube-proxy")
        serving = certificates.make_leaf(
            self.server.pki,
            f"kubelet-serving{self.number}",
            self.server.authority,
            user=f"system:node:{self.name}",
            groups=["system:nodes"],
            usage="server",
            hosts=[self.name, str(self.machine.address), "127.0.0.1"],
        )
        documents: dict[str, Any] = {
            "cni/10-pods.conflist": daemons.cni(self.plan.node_pods(self.number)),
            "kubelet.json": daemons.kubelet(
                self.folder,
                cgroup=self.cgroup,
                dns=self.plan.control_plane_address,
                clients=self.server.authority,
                serving=serving,
            ),
            "kube-proxy.json": daemons.kube_proxy(self.name, self.plan.pods, proxy),
        }
        for name, document in documents.items():
            (self.folder / name).write_text(json.dumps(document, indent=2))
