"""The environment is read whole or refused whole, and devices are counted by their files."""

from pathlib import Path

import pytest

from everstep_agent import settings
from everstep_agent.main import main
from everstep_agent.settings import SettingsError

ENVIRONMENT = {
    "EVERSTEP_SYNC_URL": "https://sync:8443",
    "EVERSTEP_NAMESPACE": "team",
    "EVERSTEP_JOB": "finetune",
    "EVERSTEP_JOB_UID": "u",
    "EVERSTEP_WORKER": "3",
    "EVERSTEP_POD_UID": "p",
    "EVERSTEP_POD_IP": "10.0.0.1",
    "EVERSTEP_NODE": "n",
    "EVERSTEP_GRACE_SECONDS": "60",
    "EVERSTEP_PORT": "8470",
    "EVERSTEP_TOKEN_FILE": "/run/token",
    "EVERSTEP_CA_FILE": "/run/ca.crt",
    "EVERSTEP_SOCKET": "/run/agent.sock",
    "EVERSTEP_SHM": "/dev/shm",  # noqa: S108 - a value among others
    "EVERSTEP_CACHE": "/cache",
}


def test_each_variable_has_its_type() -> None:
    read = settings.read(ENVIRONMENT)
    assert (read.worker, read.port, read.token_file) == (3, 8470, Path("/run/token"))


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = ENVIRONMENT | {"EVERSTEP_WORKER": "first", "EVERSTEP_SYNC_URL": "http://sync", "EVERSTEP_NODE": ""}
    del wrong["EVERSTEP_SHM"]
    with pytest.raises(SettingsError) as caught:
        settings.read(wrong)
    for part in (
        "EVERSTEP_WORKER is 'first'",
        "does not begin with https://",
        "EVERSTEP_NODE is not set",
        "EVERSTEP_SHM is not set",
    ):
        assert part in str(caught.value)


def test_an_agent_outside_of_a_pod_says_what_it_lacks_and_exits_with_2() -> None:
    assert main({}) == 2


@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 2), ("0,1", 2), ("1", 1), ("", 0), ("0,1,2,3", 2), ("0,-1,1", 1), ("GPU-8932f937", 1)],
)
def test_devices_are_those_with_a_file_that_are_visible(tmp_path: Path, visible: str | None, count: int) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert settings.count_devices(environment, tmp_path) == count
