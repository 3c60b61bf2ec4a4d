"""Where things lie, and the names and addresses of a cluster."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "everstep"
"""What may be deleted at any time and is made again: the built binaries."""

STATE = Path(os.environ.get("DEVCLUSTER_STATE") or "/var/lib/everstep-devcluster")
"""One folder per cluster. Its path goes into Unix socket names, which end at 108 bytes: keep it short."""

DEFAULT_NAME = "everstep"
DEFAULT_NODES = 3
MAX_NODES = 50
SLOTS = 16
"""How many clusters can stand side by side: each slot has its own address ranges."""

CLUSTER_DOMAIN = "cluster.local"

NODE_GRACE_PERIOD_S = 8
"""After so long without a heartbeat a node is NotReady. Kubernetes waits 50; fault tests would wait with it."""

EVICTION_TOLERATION_S = 2
"""After so long on a NotReady node a pod is evicted. Kubernetes waits 300."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every name and address of one cluster, derived from its name and its slot."""

    name: str
    slot: int

    @property
    def folder(self) -> Path:
        """The state of the cluster: certificates, etcd's data, each node's disk, logs."""
        return STATE / self.name

    @property
    def kubeconfig(self) -> Path:
        """Credentials of an administrator."""
        return self.folder / "admin.kubeconfig"

    @property
    def bridge(self) -> str:
        """The switch that all machines of the cluster are plugged into; interface names end at 15 bytes."""
        return f"es{self.slot}-br"

    @property
    def network(self) -> IPv4Network:
        """Machines: the host is .1, the control plane .2, node N is .(10 + N)."""
        return IPv4Network(f"172.31.{255 - self.slot}.0/24")

    @property
    def host_address(self) -> IPv4Address:
        """This machine, as seen from the cluster."""
        return self.network[1]

    @property
    def control_plane_address(self) -> IPv4Address:
        """The API server, and the cluster's DNS."""
        return self.network[2]

    def node_address(self, number: int) -> IPv4Address:
        """Node N, counted from 1."""
        return self.network[10 + number]

    @property
    def pods(self) -> IPv4Network:
        """All pods."""
        return IPv4Network(f"10.{200 + self.slot}.0.0/16")

    def node_pods(self, number: int) -> IPv4Network:
        """The pods of node N."""
        return IPv4Network(f"10.{200 + self.slot}.{number}.0/24")

    @property
    def services(self) -> IPv4Network:
        """Service addresses."""
        return IPv4Network(f"10.{180 + self.slot}.0.0/16")

    @property
    def ranges(self) -> tuple[IPv4Network, ...]:
        """All address ranges that must be free on this machine."""
        return self.network, self.pods, self.services

    @property
    def control_plane_namespace(self) -> str:
        """The network namespace of the control plane."""
        return f"es{self.slot}-cp"

    def node_namespace(self, number: int) -> str:
        """The network namespace of node N."""
        return f"es{self.slot}-n{number}"

    def node_folder(self, number: int) -> Path:
        """The disk of node N."""
        return self.folder / f"node{number}"

    @property
    def cgroup(self) -> str:
        """The control group above all pods."""
        return f"everstep-devcluster/{self.name}"

    def mark(self, component: str) -> str:
        """What a process of this cluster carries in its environment."""
        return f"{self.folder}/{component}"
