"""Faults of nodes and of the control plane are what they claim to be, and end when they should."""

from devcluster.cluster import NamespacesCluster
from tests.cluster.probes import Probes

NOT_READY_TIMEOUT_S = 30.0


def await_ready(cluster: NamespacesCluster, node: str, status: str) -> None:
    cluster.kubectl.wait(f"--for=condition=Ready={status}", f"node/{node}", timeout_s=NOT_READY_TIMEOUT_S)


def test_a_crashed_node_resets_its_peers_becomes_not_ready_and_comes_back(
    namespaces_cluster: NamespacesCluster, probes: Probes
) -> None:
    address = probes.serve("server", node="node2")
    held = probes.hold("client", address, node="node3")

    namespaces_cluster.crash_node(2)
    assert "silent" not in held.await_line("reset", "closed")
    await_ready(namespaces_cluster, "node2", "Unknown")

    namespaces_cluster.boot_node(2)
    await_ready(namespaces_cluster, "node2", "True")
    probes.serve("server-after-the-boot", node="node2")


def test_a_silent_node_leaves_the_connections_of_its_peers_hanging(
    namespaces_cluster: NamespacesCluster, probes: Probes
) -> None:
    """Even when Kubernetes has long noticed, the peer's connection is open and quiet."""
    address = probes.serve("server", node="node2")
    held = probes.hold("client", address, node="node3")

    namespaces_cluster.silence_node(2)
    held.await_line("silent")
    await_ready(namespaces_cluster, "node2", "Unknown")
    assert held.said() == ["held", "silent"]

    namespaces_cluster.boot_node(2)
    await_ready(namespaces_cluster, "node2", "True")


def test_an_isolated_node_loses_the_others_and_finds_them_again(
    namespaces_cluster: NamespacesCluster, probes: Probes
) -> None:
    """Nothing on it dies, and a connection over the cut goes on after it."""
    address = probes.serve("server", node="node2")
    held = probes.hold("client", address, node="node3")

    namespaces_cluster.isolate_node(2)
    held.await_line("silent")
    await_ready(namespaces_cluster, "node2", "Unknown")

    namespaces_cluster.heal_node(2)
    await_ready(namespaces_cluster, "node2", "True")
    assert held.await_line("held", after=2) == ["held", "silent", "held"]


def test_pods_run_on_and_objects_stay_while_the_api_server_and_etcd_are_killed(
    namespaces_cluster: NamespacesCluster, probes: Probes
) -> None:
    address = probes.serve("server", node="node2")
    namespaces_cluster.stop_apiserver()
    namespaces_cluster.stop_apiserver()  # twice: a verb is done when its effect is there
    assert "apiserver           off" in namespaces_cluster.status()
    namespaces_cluster.start_apiserver()

    namespaces_cluster.stop_etcd()
    namespaces_cluster.start_etcd()
    namespaces_cluster.start_etcd()
    assert probes.address_of("server") == address
    assert probes.restarts_of("server") == 0
