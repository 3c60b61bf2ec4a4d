"""The cluster of namespaces on this machine: its verbs, each of which may be cut off and done again."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from devcluster import addons, build, cgroups, host, images, network, processes
from devcluster.control_plane import ControlPlane
from devcluster.kubectl import Kubectl, is_ready
from devcluster.kwok import Kwok
from devcluster.network import Machine
from devcluster.node import Node
from devcluster.problem import DevclusterError
from devcluster.record import Record, settle
from devcluster.settings import STATE, Plan

_READY_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacesCluster:
    """A control plane and nodes, each in namespaces of its own."""

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,19}", self.name):
            raise DevclusterError(
                f"A cluster cannot be named {self.name!r}; use up to 20 lower-case letters, digits and hyphens."
            )

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def kubeconfig(self) -> Path:
        """The credentials of an administrator."""
        return STATE / self.name / "admin.kubeconfig"

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as an administrator."""
        return Kubectl(binary=build.binaries() / "kubectl", kubeconfig=self.kubeconfig)

    @property
    def s3(self) -> addons.S3:
        """The object store, whose data lie on this machine."""
        return addons.S3(kubectl=self.kubectl, node=self.node(1).name, folder=self.plan.folder / "s3")

    @property
    def plan(self) -> Plan:
        """Its names and addresses."""
        return Plan(name=self.name, slot=self._record().slot)

    @property
    def control_plane(self) -> ControlPlane:
        """Its control plane."""
        return ControlPlane(plan=self.plan, binaries=build.binaries())

    @property
    def nodes(self) -> list[Node]:
        """Its nodes, from 1."""
        return [self._node(number) for number in range(1, self._record().nodes + 1)]

    def node(self, number: int) -> Node:
        """Return node `number`.

        Raises:
            DevclusterError: there is none of that number.
        """
        count = self._record().nodes
        if not 1 <= number <= count:
            raise DevclusterError(f"Cluster {self.name} has no node {number}; it has nodes 1 to {count}.")
        return self._node(number)

    # -- the whole cluster -------------------------------------------------------------------------------------------

    def up(self, nodes: int | None = None, slot: int | None = None) -> None:
        """Make it whole: start what does not run, and return once all nodes are Ready and the object store answers.

        Args:
            nodes: how many; absent: as many as it has, or 3.
            slot: which address ranges; absent: those that it has, or the first that are free.
        """
        host.require()
        folder = build.binaries()
        with self._locked():
            with _locked(".slots"):  # two clusters may be made at once
                self._remember(nodes=nodes, slot=slot, fingerprint=_fingerprint(folder))
            network.add_bridge(self.plan)
            self._start_machines()
            self._await_ready(self.nodes)
            self.s3.install(images.archive("s3"))

    def down(self) -> None:
        """Remove all of it: processes, network, control groups, data."""
        with self._locked():
            processes.end(processes.find_below(f"{STATE / self.name}/"))
            for slot in self._slots():
                plan = Plan(name=self.name, slot=slot)
                network.remove_namespaces(plan)
                network.remove_bridge(plan)
                cgroups.remove_group(plan.cgroup)
            _remove_folder(STATE / self.name)

    def status(self) -> str:
        """Say how each part is, as a table."""
        if Record.read(STATE / self.name) is None:
            return f"Cluster {self.name} does not exist; `python -m devcluster up` makes it."
        host.require_root()
        plane = self.control_plane
        rows = [(part, "on" if processes.find(self.plan.mark(part)) else "off") for part in plane.parts]
        rows += [(node.name, node.state()) for node in self.nodes]
        if plane.server.is_ready():
            rows += [("s3", self.s3.state())]
            ready = {node["metadata"]["name"]: is_ready(node) for node in self.kubectl.get("nodes")["items"]}
            said = {name: "Ready" if yes else "NotReady" for name, yes in ready.items()}
            rows = [(part, f"{state}, {said[part]}" if part in said else state) for part, state in rows]
        rows += [("kubeconfig", str(self.kubeconfig))]
        return "\n".join(f"{part:<20}{state}" for part, state in rows)

    def load(self, image: str) -> str:
        """Bring an image to every node that is on, and to the others when they boot; return the name that pods use."""
        with self._locked():
            kept, name = images.bring(image, self.plan.folder / "images")
            _in_parallel([node.import_image for node in self.nodes if node.is_running()], kept)
            return name

    def kwok(self, nodes: int) -> None:
        """Have exactly `nodes` fake nodes, all Ready."""
        with self._locked():
            mark, folder = self.plan.mark("kwok"), self.plan.folder / "kwok"
            Kwok(kubectl=self.kubectl, program=build.binaries() / "kwok", folder=folder, mark=mark).scale(nodes)

    # -- faults ------------------------------------------------------------------------------------------------------

    def crash_node(self, number: int) -> None:
        """Kill a node at once; its peers get resets."""
        with self._locked():
            self.node(number).crash()

    def silence_node(self, number: int) -> None:
        """Cut a node's power; its peers hear nothing."""
        with self._locked():
            self.node(number).silence()

    def isolate_node(self, number: int) -> None:
        """Cut a node off from all others; it runs on."""
        with self._locked():
            self.node(number).isolate()

    def heal_node(self, number: int) -> None:
        """Let an isolated node talk to the others again."""
        with self._locked():
            self.node(number).heal()

    def boot_node(self, number: int) -> None:
        """Switch a node on; return once it is Ready."""
        with self._locked():
            node = self.node(number)
            self._boot(node)
            self._await_ready([node])

    def start_apiserver(self) -> None:
        """Start the API server; return once it is ready."""
        with self._locked():
            self.control_plane.start_apiserver()

    def stop_apiserver(self) -> None:
        """Kill the API server."""
        with self._locked():
            self.control_plane.stop_apiserver()

    def start_etcd(self) -> None:
        """Start etcd; return once it listens."""
        with self._locked():
            self.control_plane.start_etcd()

    def stop_etcd(self) -> None:
        """Kill etcd; its data stay."""
        with self._locked():
            self.control_plane.stop_etcd()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _slots(self) -> set[int]:
        """Where it has been seen: by its record, or by its bridge if that is damaged."""
        seen = {slot for slot, owner in network.owners().items() if owner == STATE / self.name}
        with contextlib.suppress(DevclusterError):
            record = Record.read(STATE / self.name)
            seen |= {record.slot} if record else set()
        return seen

    def _record(self) -> Record:
        record = Record.read(STATE / self.name)
        if record is None:
            raise DevclusterError(f"Cluster {self.name} does not exist; `python -m devcluster up` makes it.")
        return record

    def _node(self, number: int) -> Node:
        return Node(plan=self.plan, number=number, server=self.control_plane.server)

    def _remember(self, *, nodes: int | None, slot: int | None, fingerprint: str) -> None:
        folder = STATE / self.name
        known = Record.read(folder)
        # A cluster of another state folder has its slot by its bridge, one that is off by its record.
        taken = {place: str(owner) for place, owner in network.owners().items() if owner != folder}
        for other in STATE.glob("[!.]*/"):
            if other != folder and (record := Record.read(other)):
                taken[record.slot] = other.name
        settled = settle(self.name, known, nodes=nodes, slot=slot, fingerprint=fingerprint, taken=taken)
        # Before it is remembered: a cluster that was refused must not hold the slot.
        network.check_ranges(Plan(name=self.name, slot=settled.slot))
        # Likewise: cut off in between, the next call would take what runs for its own.
        if known and known.fingerprint != fingerprint:
            processes.end(processes.find_below(f"{folder}/"))
        settled.write(folder)

    def _start_machines(self) -> None:
        plan, plane = self.plan, self.control_plane
        machine = Machine(namespace=plan.control_plane_namespace, address=plan.control_plane_address)
        machines = [node.machine for node in self.nodes]
        if not plane.is_running():
            network.add_machine(plan, machine, machines)
        for node in machines:
            network.add_route(machine, node)
        plane.make_certificates()
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(plane.start), *(pool.submit(self._boot, node) for node in self.nodes)]:
                started.result()
        network.route_services(plan, machines[0])

    def _boot(self, node: Node) -> None:
        kept = images.kept_in(self.plan.folder / "images")
        own = [images.archive("pause"), images.archive("s3")]
        node.boot(self.nodes, [*own, *kept])

    def _await_ready(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            name = f"node/{node.name}"
            self.kubectl.wait("--for=create", name, timeout_s=_READY_TIMEOUT_S)
            # A node that died and is back is still Ready of old until its new kubelet has spoken.
            self.kubectl.wait(
                f"--for=jsonpath={{.status.nodeInfo.bootID}}={node.boot_id()}", name, timeout_s=_READY_TIMEOUT_S
            )
            self.kubectl.wait("--for=condition=Ready", name, timeout_s=_READY_TIMEOUT_S)
        # Without it the API server refuses bare pods.
        self.kubectl.wait("--for=create", "serviceaccount/default", timeout_s=_READY_TIMEOUT_S)

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        """One verb at a time on a cluster: the next one waits."""
        host.require_root()
        return _locked(self.name)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold a lock of this machine; the kernel lets go of it when this process ends, however it ends."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fingerprint(binaries: Path) -> str:
    digest = hashlib.sha256(binaries.name.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _remove_folder(folder: Path) -> None:
    # Renamed first: what is half removed must not look like a cluster.
    if folder.exists():
        folder.rename(folder.with_name(f".removed-{folder.name}-{os.getpid()}"))
    for removed in folder.parent.glob(f".removed-{folder.name}-*"):
        shutil.rmtree(removed)


def _in_parallel(calls: Sequence[Callable[[Path], None]], argument: Path) -> None:
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(call, argument) for call in calls]:
            done.result()
