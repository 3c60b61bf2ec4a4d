"""The network of a cluster: a bridge, and for each machine a network namespace with a cable to it.

The far end of a machine's cable is the switch that the fault verbs turn: with it down, nothing that the machine sends
arrives and nothing reaches it, and nobody is told.
"""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from devcluster.problem import DevclusterError
from devcluster.settings import SLOTS, Plan

_TIMEOUT_S = 20.0
_LISTEN = "0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One member of the network: the control plane or a node."""

    namespace: str
    address: IPv4Address
    pods: IPv4Network | None = None
    """The pods behind it; the control plane has none."""

    @property
    def cable(self) -> str:
        """Its end of the cable that lies in the switch."""
        return f"{self.namespace}v"


def check_ranges(plan: Plan) -> None:
    """Raise unless the address ranges of `plan` are free of other routes of this machine."""
    for route in json.loads(_ip("-json", "-4", "route", "show", "table", "main")):
        if route["dst"] == "default" or route.get("dev") == plan.bridge:
            continue
        taken = IPv4Network(route["dst"], strict=False)
        for wanted in plan.ranges:
            if wanted.overlaps(taken):
                where = f" on {route['dev']}" if "dev" in route else ""  # a blackhole has none
                raise DevclusterError(
                    f"The address range {wanted} of cluster {plan.name} overlaps the route to {taken}{where}; "
                    "choose another one with --slot 0 to 15."
                )


def add_bridge(plan: Plan) -> None:
    """Make the switch, with this machine plugged in."""
    if not _has_interface(plan.bridge):
        _ip("link", "add", plan.bridge, "type", "bridge")
    _ip("link", "set", plan.bridge, "alias", str(plan.folder))
    _ip("address", "replace", f"{plan.host_address}/{plan.network.prefixlen}", "dev", plan.bridge)
    _ip("link", "set", plan.bridge, "up")


def owners() -> dict[int, Path]:
    """Return the folders of the clusters whose switches this machine has, by their slots."""
    found = {}
    for slot in range(SLOTS):
        alias = Path("/sys/class/net", Plan(name="", slot=slot).bridge, "ifalias")
        if alias.exists() and (owner := alias.read_text().strip()):  # empty if `add_bridge` was cut off
            found[slot] = Path(owner)
    return found


def remove_bridge(plan: Plan) -> None:
    """Remove the switch; the routes over it go with it."""
    if _has_interface(plan.bridge):
        _ip("link", "delete", plan.bridge)


def add_machine(plan: Plan, machine: Machine, others: Iterable[Machine]) -> None:
    """Give `machine` a fresh namespace with a cable to the switch, and routes to the pods of `others`."""
    remove_machine(machine)
    _ip("netns", "add", machine.namespace)
    _ip("link", "add", machine.cable, "type", "veth", "peer", "name", "eth0", "netns", machine.namespace)
    _ip("link", "set", machine.cable, "master", plan.bridge, "up")
    inside = ("-netns", machine.namespace)
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{machine.address}/{plan.network.prefixlen}", "dev", "eth0")
    _ip(*inside, "link", "set", "eth0", "up")
    _ip(*inside, "route", "add", "default", "via", str(plan.host_address))
    for other in others:
        if other.pods and other != machine:
            _ip(*inside, "route", "replace", str(other.pods), "via", str(other.address))
    if machine.pods:
        _ip("route", "replace", str(machine.pods), "via", str(machine.address))


def add_route(machine: Machine, to: Machine) -> None:
    """Let `machine` reach the pods of `to`, a machine that came later."""
    _ip("-netns", machine.namespace, "route", "replace", str(to.pods), "via", str(to.address))


def route_services(plan: Plan, via: Machine) -> None:
    """Let this machine reach service addresses, by the kube-proxy of a node."""
    _ip("route", "replace", str(plan.services), "via", str(via.address))


def remove_machine(machine: Machine) -> None:
    """Remove the namespace of `machine` and its cable."""
    # The cable first, which takes both its ends along at once; with the namespace it would go a while later.
    if _has_interface(machine.cable):
        _ip("link", "delete", machine.cable)
    if Path("/run/netns", machine.namespace).exists():
        _ip("netns", "delete", machine.namespace)


def remove_namespaces(plan: Plan) -> None:
    """Remove every network namespace of the cluster's slot, and its cable."""
    for path in Path("/sys/class/net").glob(f"es{plan.slot}-*v"):
        _ip("link", "delete", path.name)
    for path in Path("/run/netns").glob(f"es{plan.slot}-*"):
        _ip("netns", "delete", path.name)


def set_cable(machine: Machine, *, up: bool) -> None:
    """Plug the machine in, or out."""
    _ip("link", "set", machine.cable, "up" if up else "down")


def is_plugged_in(machine: Machine) -> bool:
    """Whether the machine's cable exists and is plugged in."""
    if not _has_interface(machine.cable):
        return False
    (link,) = json.loads(_ip("-json", "link", "show", machine.cable))
    return "UP" in link["flags"]


def is_listening(pid: int, port: int) -> bool:
    """Whether some socket listens on TCP `port` in the network namespace of process `pid` (`man 5 proc_net`)."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            if state == _LISTEN and int(local.rsplit(":", 1)[1], 16) == port:
                return True
    return False


def _has_interface(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _ip(*arguments: str) -> str:
    command = ["ip", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise DevclusterError("`ip` is missing; install the package iproute2.") from None
    if done.returncode != 0:
        raise DevclusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
