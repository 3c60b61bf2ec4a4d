"""One control plane for all tests of a session, with the CRD on it as `kubectl apply` leaves it."""

import uuid
from collections.abc import Iterator

import pytest
from kubernetes import client, config

from devcluster.control_plane import LocalControlPlane
from devcluster.kubectl import Kubectl
from tests.api.jobs import Jobs
from tests.paths import CRDS


@pytest.fixture(scope="session")
def plane() -> Iterator[LocalControlPlane]:
    """etcd and an API server that knows TrainingJobs."""
    with LocalControlPlane.start() as started:
        started.kubectl.run("apply", "-f", str(CRDS))
        started.kubectl.wait("--for=condition=Established", "crd/trainingjobs.everstep.dev", timeout_s=20)
        yield started


@pytest.fixture(scope="session")
def kubectl(plane: LocalControlPlane) -> Kubectl:
    """kubectl as an administrator."""
    return plane.kubectl


@pytest.fixture(scope="session")
def api(plane: LocalControlPlane) -> Iterator[client.ApiClient]:
    """A client that keeps its connection."""
    with config.new_client_from_config(str(plane.kubeconfig)) as made:
        yield made


@pytest.fixture
def jobs(api: client.ApiClient) -> Jobs:
    """The jobs of a namespace of this test's own."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    client.CoreV1Api(api).create_namespace({"metadata": {"name": name}}, _request_timeout=10)
    return Jobs(api=client.CustomObjectsApi(api), namespace=name)
