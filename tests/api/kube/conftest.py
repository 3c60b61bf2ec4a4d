"""A namespace of each test's own, with operators that run its jobs."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client

from devcluster.control_plane import LocalControlPlane
from tests.api.kube.operators import Operator
from tests.api.kube.workplace import Workplace

StartOperator = Callable[..., Operator]


def make_workplace(plane: LocalControlPlane, api: client.ApiClient, folder: Path) -> Workplace:
    """A new namespace. Controllers would make its ServiceAccount, but there are none; without it no pod is taken."""
    place = Workplace(plane=plane, api=api, namespace=f"test-{uuid.uuid4().hex[:10]}", folder=folder)
    place.call("POST", "/api/v1/namespaces", {"metadata": {"name": place.namespace}})
    place.call("POST", "/api/v1/{here}/serviceaccounts", {"metadata": {"name": "default"}})
    return place


@pytest.fixture
def workplace(plane: LocalControlPlane, api: client.ApiClient, tmp_path: Path) -> Workplace:
    """A namespace."""
    return make_workplace(plane, api, tmp_path)


@pytest.fixture
def start_operator(workplace: Workplace) -> Iterator[StartOperator]:
    """Starts operators of the namespace, which end with the test."""
    with operators_of(workplace) as start:
        yield start


class operators_of:  # noqa: N801 - a context, read as a phrase
    """Operators of a workplace, which end with the context."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._started: list[Operator] = []

    def __enter__(self) -> StartOperator:
        self._workplace.logs = lambda: "\n".join(operator.words for operator in self._started)
        return self._start

    def __exit__(self, *error: object) -> None:
        for operator in self._started:
            operator.kill()

    def _start(self, name: str = "one", *flags: str) -> Operator:
        place = self._workplace
        operator = Operator.start(
            name=name, kubeconfig=place.plane.kubeconfig, namespace=place.namespace, folder=place.folder, flags=flags
        )
        self._started.append(operator)
        return operator


@pytest.fixture
def operator(start_operator: StartOperator) -> Operator:
    """An operator of the namespace."""
    return start_operator()
