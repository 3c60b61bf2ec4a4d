"""One control plane for all tests of a session, with the CRD on it as `kubectl apply` leaves it."""

import uuid
from collections.abc import Iterator

import pytest
from kubernetes import client, config

from devcluster.control_plane import LocalControlPlane
from devcluster.kubectl import Kubectl
from devcluster.problem import DevclusterError
from devcluster.waiting import wait_until
from tests.api.jobs import Jobs
from tests.paths import CRDS


@pytest.fixture(scope="session")
def plane() -> Iterator[LocalControlPlane]:
    """etcd and an API server that knows TrainingJobs."""
    with LocalControlPlane.start() as started:
        started.kubectl.run("apply", "-f", str(CRDS))
        wait_until(
            lambda: _is_served(started.kubectl),
            timeout_s=30,
            failure="The API server does not serve TrainingJobs 30 s after it took the CRD.",
        )
        yield started


def _is_served(kubectl: Kubectl) -> bool:
    """Whether discovery, schema and storage know the kind; each learns of it in its own time, after Established."""
    try:
        kubectl.run("explain", "tj.spec.workers")
        kubectl.run("get", "tj")
    except DevclusterError:
        return False
    return True


@pytest.fixture(scope="session")
def kubectl(plane: LocalControlPlane) -> Kubectl:
    """kubectl as an administrator."""
    return plane.kubectl


@pytest.fixture(scope="session")
def api(plane: LocalControlPlane) -> Iterator[client.ApiClient]:
    """A client that keeps its connection."""
    with config.new_client_from_config(str(plane.kubeconfig)) as made:  # type: ignore[no-untyped-call]  # it has no types
        yield made


@pytest.fixture
def jobs(api: client.ApiClient) -> Jobs:
    """The jobs of a namespace of this test's own."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    namespace = client.V1Namespace(metadata=client.V1ObjectMeta(name=name))
    client.CoreV1Api(api).create_namespace(namespace, _request_timeout=10)
    return Jobs(api=client.CustomObjectsApi(api), namespace=name)
