"""Fake nodes come, carry pods and go, and cost no real node anything."""

import pytest

from devcluster import processes
from devcluster.cluster import NamespacesCluster
from devcluster.kubectl import Manifest
from devcluster.settings import NODE_GRACE_PERIOD_S
from tests.cluster.probes import Probes

SELECTOR = "--selector=kwok.x-k8s.io/node=fake"


def a_pod(namespace: str) -> Manifest:
    spec: Manifest = {
        "nodeSelector": {"kwok.x-k8s.io/node": "fake"},
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "initContainers": [{"name": "first", "image": "nobody/has:this"}],
        "containers": [{"name": "second", "image": "nobody/has:this"}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fake", "namespace": namespace}, "spec": spec}


@pytest.fixture
def fakes(namespaces_cluster: NamespacesCluster) -> NamespacesCluster:
    """A cluster with five fake nodes."""
    namespaces_cluster.kwok(5)
    return namespaces_cluster


def fake_nodes(cluster: NamespacesCluster) -> list[str]:
    return cluster.kubectl.run("get", "nodes", SELECTOR, "--output=jsonpath={.items[*].metadata.name}").split()


def test_there_are_as_many_fake_nodes_as_were_asked_for(fakes: NamespacesCluster) -> None:
    assert fake_nodes(fakes) == [f"fake-{number:04}" for number in range(1, 6)]
    fakes.kwok(5)
    assert len(fake_nodes(fakes)) == 5
    fakes.kwok(2)
    assert fake_nodes(fakes) == ["fake-0001", "fake-0002"]
    fakes.kwok(0)
    assert fake_nodes(fakes) == []


def test_a_pod_on_a_fake_node_is_ready_without_running_and_ends_when_it_is_deleted(
    fakes: NamespacesCluster, probes: Probes
) -> None:
    fakes.kubectl.apply([a_pod(probes.namespace)])
    fakes.kubectl.wait("--for=condition=Ready", "pod/fake", f"--namespace={probes.namespace}", timeout_s=20)
    assert probes.node_of("fake").startswith("fake-")
    fakes.kubectl.run("delete", "pod/fake", f"--namespace={probes.namespace}", "--timeout=20s")
    fakes.kwok(0)


def test_fake_nodes_whose_process_was_killed_are_lost_like_real_ones_and_come_back(fakes: NamespacesCluster) -> None:
    processes.end(processes.find(fakes.plan.mark("kwok")))
    fakes.kubectl.wait("--for=condition=Ready=Unknown", "nodes", SELECTOR, timeout_s=NODE_GRACE_PERIOD_S * 4)
    fakes.kwok(5)
    fakes.kubectl.wait("--for=condition=Ready", "nodes", SELECTOR, timeout_s=1)
    fakes.kwok(0)
