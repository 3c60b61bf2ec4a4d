"""Pods find and reach each other, wherever they run."""

from devcluster.provider import Cluster
from tests.cluster.probes import PORT, Probes


def node_names(cluster: Cluster) -> list[str]:
    return [node["metadata"]["name"] for node in cluster.kubectl.get("nodes")["items"]]


def test_a_pod_reaches_a_pod_on_another_node(cluster: Cluster, probes: Probes) -> None:
    first, *_, last = node_names(cluster)
    address = probes.serve("server", node=first)
    assert probes.run("client", "get", f"http://{address}:{PORT}", node=last) == "server"
    assert (probes.node_of("server"), probes.node_of("client")) == (first, last)


def test_a_service_is_found_by_its_name_and_reaches_its_pod(cluster: Cluster, probes: Probes) -> None:
    probes.serve("server", node=node_names(cluster)[0])
    probes.expose("server")
    assert probes.run("client", "get", f"http://server:{PORT}") == "server"


def test_a_name_resolves_to_the_address_of_its_service(cluster: Cluster, probes: Probes) -> None:
    probes.serve("server")
    probes.expose("server")
    service = cluster.kubectl.get("service", "server", f"--namespace={probes.namespace}")
    full_name = f"server.{probes.namespace}.svc.cluster.local"
    assert probes.run("client", "resolve", full_name) == service["spec"]["clusterIP"]


def test_an_image_that_was_loaded_once_runs_on_every_node(cluster: Cluster, probes: Probes) -> None:
    """Pods never pull it: what runs is what `load` brought."""
    for name in node_names(cluster):
        probes.serve(f"on-{name}", node=name)
        assert probes.node_of(f"on-{name}") == name
