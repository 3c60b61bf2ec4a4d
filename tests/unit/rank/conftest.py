"""One worker for all tests of its processes: a fork server takes seconds to import what ranks need."""

from collections.abc import Iterator

import pytest

from tests.unit.rank.agents import Agent, an_agent


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with an_agent(tmp_path_factory.mktemp("worker")) as agent:
        yield agent
