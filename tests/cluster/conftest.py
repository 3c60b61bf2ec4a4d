"""The cluster that these tests run on: one of namespaces on this machine, or the one that DEVCLUSTER_CONTEXT names."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from devcluster import images, provider
from devcluster.cluster import NamespacesCluster
from devcluster.provider import Cluster
from examples.demo.cluster import Stack
from tests.cluster.probes import Probes
from tests.cluster.release import a_namespace
from tests.fabric.bucket import fill_bucket, upload

NAME = "test"
"""A cluster of its own: nodes are killed here, and somebody may be working on the one that `make cluster` made."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A whole cluster, removed at the end unless DEVCLUSTER_KEEP is set."""
    if "DEVCLUSTER_CONTEXT" not in os.environ and (sys.platform != "linux" or os.geteuid() != 0):
        pytest.skip("needs root on Linux, or a cluster named by KUBECONFIG and DEVCLUSTER_CONTEXT")
    chosen = provider.choose(NAME)
    chosen.up()
    yield chosen
    if "DEVCLUSTER_KEEP" not in os.environ:
        chosen.down()


@pytest.fixture
def namespaces_cluster(cluster: Cluster) -> NamespacesCluster:
    """The same, where faults can be made; all its parts are on when the test begins."""
    if not isinstance(cluster, NamespacesCluster):
        pytest.skip("faults are made only on the cluster of namespaces; unset KUBECONFIG and DEVCLUSTER_CONTEXT")
    cluster.up()
    return cluster


@pytest.fixture(scope="session")
def probe_image(cluster: Cluster) -> str:
    """The image of the probe, on every node."""
    return cluster.load(str(images.archive("probe")))


@pytest.fixture
def probes(cluster: Cluster, probe_image: str) -> Iterator[Probes]:
    """Pods to talk to and from, in a namespace that goes with the test."""
    with Probes.in_new_namespace(cluster.kubectl, probe_image) as made:
        yield made


@pytest.fixture(scope="session")
def release(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Everstep from its chart and its two images, and in the bucket what small jobs train on."""
    stack = Stack.built(cluster)
    stack.install()
    folder = fill_bucket(tmp_path_factory.mktemp("bucket"))
    with stack.bucket() as bucket:
        upload(folder, bucket)
    return stack


@pytest.fixture
def stack(namespaces_cluster: NamespacesCluster, release: Stack) -> Iterator[Stack]:
    """The release with a namespace for the jobs of one test, on a cluster whose nodes are all on."""
    with a_namespace(replace(release, cluster=namespaces_cluster)) as made:
        yield made
