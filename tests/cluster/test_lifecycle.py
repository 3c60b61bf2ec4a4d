"""Clusters stand side by side, and what was killed in the middle stops nobody."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import processes
from devcluster.cluster import NamespacesCluster
from devcluster.settings import STATE, Plan
from devcluster.waiting import wait_until

UP_TIMEOUT_S = 120


def devcluster(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devcluster", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=UP_TIMEOUT_S, check=False)


def remains(plan: Plan) -> list[str]:
    """Whatever this machine still has of a cluster."""
    links = [path.name for path in Path("/sys/class/net").glob(f"es{plan.slot}-*")]
    namespaces = [path.name for path in Path("/run/netns").glob(f"es{plan.slot}-*")]
    hierarchies = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]  # v2 is one, v1 has several
    groups = [str(path / plan.cgroup) for path in hierarchies if (path / plan.cgroup).exists()]
    folders = [str(path) for path in STATE.glob(f"*{plan.name}*") if path.name != f".{plan.name}.lock"]
    living = [str(pid) for pid in processes.find_below(f"{plan.folder}/")]
    return [*links, *namespaces, *groups, *folders, *living]


@pytest.fixture
def second(namespaces_cluster: NamespacesCluster) -> Iterator[str]:
    """The name of another cluster beside the first; it is gone after the test."""
    name = f"{namespaces_cluster.name}-second"
    yield name
    NamespacesCluster(name=name).down()


def test_a_second_cluster_stands_beside_the_first_and_goes_without_it(
    namespaces_cluster: NamespacesCluster, second: str
) -> None:
    other = NamespacesCluster(name=second)
    other.up(nodes=1)
    plan = other.plan
    assert plan.slot != namespaces_cluster.plan.slot
    assert [node["metadata"]["name"] for node in other.kubectl.get("nodes")["items"]] == ["node1"]
    assert len(namespaces_cluster.kubectl.get("nodes")["items"]) == 3

    other.down()
    other.down()  # twice: it is gone
    assert remains(plan) == []
    assert namespaces_cluster.control_plane.server.is_ready()


@pytest.mark.parametrize("component", ["etcd", "node1/machine", "node1/containerd", "node1/kubelet"])
def test_an_up_that_was_killed_stops_neither_the_next_up_nor_the_next_down(second: str, component: str) -> None:
    """Killed at the moment at which `component` appears: with the network made, half a node, half a control plane."""
    command = [sys.executable, "-m", "devcluster", "up", "--name", second, "--nodes", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        mark = f"{STATE / second}/{component}"
        wait_until(lambda: bool(processes.find(mark)), timeout_s=60, failure=f"{component} never appeared")
        os.kill(process.pid, signal.SIGKILL)

    again = devcluster("up", "--name", second, "--nodes", "1")
    assert again.returncode == 0, again.stderr
    assert "node1               on, Ready" in again.stdout
    plan = NamespacesCluster(name=second).plan
    assert devcluster("down", "--name", second).returncode == 0
    assert remains(plan) == []


def test_a_down_that_was_killed_stops_neither_the_next_up_nor_the_next_down(second: str) -> None:
    """Killed as soon as a process of the cluster is gone: the rest, its network and its folder are still there."""
    other = NamespacesCluster(name=second)
    other.up(nodes=1)
    plan = other.plan
    whole = len(processes.find_below(f"{plan.folder}/"))
    with subprocess.Popen([sys.executable, "-m", "devcluster", "down", "--name", second]) as process:
        wait_until(
            lambda: len(processes.find_below(f"{plan.folder}/")) < whole, timeout_s=60, failure="nothing went down"
        )
        os.kill(process.pid, signal.SIGKILL)

    again = devcluster("up", "--name", second)
    assert again.returncode == 0, again.stderr
    other.down()
    assert remains(plan) == []


def test_a_cluster_whose_record_is_damaged_can_be_removed(second: str) -> None:
    """Its place is known by its switch."""
    other = NamespacesCluster(name=second)
    other.up(nodes=1)
    plan = other.plan
    (plan.folder / "cluster.json").write_text("{")
    assert "cannot be read; run `python -m devcluster down" in devcluster("status", "--name", second).stderr
    other.down()
    assert remains(plan) == []


@pytest.mark.usefixtures("namespaces_cluster")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(
            ["node", "crash", "9", "--name", "test"],
            "devcluster: Cluster test has no node 9; it has nodes 1 to 3.\n",
            id="a node that is not there",
        ),
        pytest.param(
            ["node", "crash", "1", "--name", "nowhere"],
            "devcluster: Cluster nowhere does not exist; `python -m devcluster up` makes it.\n",
            id="a cluster that is not there",
        ),
        pytest.param(
            ["up", "--name", "test", "--nodes", "1"],
            "devcluster: Cluster test has 3 nodes; run `down` before making it smaller.\n",
            id="fewer nodes than there are",
        ),
        pytest.param(
            ["up", "--name", "nowhere", "--nodes", "0"],
            "devcluster: 0 nodes are asked for; choose 1 to 50.\n",
            id="no nodes at all",
        ),
        pytest.param(
            ["up", "--name", "nowhere", "--slot", "16"],
            "devcluster: Slot 16 is asked for; choose 0 to 15.\n",
            id="a slot that does not exist",
        ),
        pytest.param(
            ["up", "--name", "no/where"],
            "devcluster: A cluster cannot be named 'no/where'; use up to 20 lower-case letters, digits and hyphens.\n",
            id="a name that is no folder's",
        ),
        pytest.param(
            ["load", "/nothing/here.tar", "--name", "test"],
            "devcluster: There is no archive /nothing/here.tar; make it with "
            "`docker save --output=/nothing/here.tar NAME`.\n",
            id="an archive that is not there",
        ),
    ],
)
def test_bad_input_gets_one_sentence_that_says_what_to_do(arguments: list[str], sentence: str) -> None:
    done = devcluster(*arguments)
    assert (done.returncode, done.stderr) == (1, sentence)


def test_a_cluster_whose_addresses_are_taken_is_refused_with_the_way_out(
    namespaces_cluster: NamespacesCluster, second: str
) -> None:
    taken = namespaces_cluster.plan
    done = devcluster("up", "--name", second, "--slot", str(taken.slot))
    assert done.returncode == 1
    assert done.stderr == (
        f"devcluster: Slot {taken.slot} is taken by cluster test; choose another one, or leave --slot out.\n"
    )
