"""Names and addresses of clusters that stand side by side never meet."""

from itertools import combinations

import pytest

from devcluster.settings import MAX_NODES, SLOTS, Plan

PLANS = [Plan(name=f"cluster-{slot}", slot=slot) for slot in range(SLOTS)]


def test_no_address_range_of_a_cluster_overlaps_one_of_another_cluster_or_of_its_own() -> None:
    ranges = [wanted for plan in PLANS for wanted in plan.ranges]
    assert [pair for pair in combinations(ranges, 2) if pair[0].overlaps(pair[1])] == []


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_every_machine_has_an_address_of_its_own_in_the_network_and_every_node_its_own_pods(plan: Plan) -> None:
    nodes = range(1, MAX_NODES + 1)
    addresses = [plan.host_address, plan.control_plane_address, *map(plan.node_address, nodes)]
    assert len(set(addresses)) == MAX_NODES + 2
    assert all(address in plan.network for address in addresses)
    assert len(set(map(plan.node_pods, nodes))) == MAX_NODES
    assert all(plan.node_pods(node).subnet_of(plan.pods) for node in nodes)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_names_of_interfaces_fit_into_the_kernels_15_bytes(plan: Plan) -> None:
    cable = f"{plan.node_namespace(MAX_NODES)}v"
    assert max(len(plan.bridge), len(cable)) <= 15


def test_the_mark_of_one_cluster_is_not_the_beginning_of_anothers() -> None:
    short, long = Plan(name="test", slot=0), Plan(name="test-second", slot=1)
    assert not long.mark("etcd").startswith(f"{short.folder}/")
