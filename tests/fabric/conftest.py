"""The bucket of all fabric tests; each job has a folder of its own in it."""

from pathlib import Path

import pytest

from tests.fabric.bucket import fill_bucket


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_bucket(tmp_path_factory.mktemp("bucket"))
