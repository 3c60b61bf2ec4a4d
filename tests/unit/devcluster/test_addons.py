"""The object store and the fake nodes are asked for in one way, and what cannot be done is said."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from devcluster import images
from devcluster.addons import S3
from devcluster.kubectl import Kubectl
from devcluster.kwok import Kwok
from devcluster.problem import DevclusterError
from tests.unit.devcluster import programs


class Recorder:
    """A kubectl that notes its calls and keeps what is applied."""

    def __init__(self, folder: Path, script: str = "") -> None:
        self._calls, self._applied = folder / "calls", folder / "applied"
        note = f'shift; echo "$*" >> {self._calls}; case "$*" in *apply*) cat > {self._applied};; esac'
        binary = programs.install(folder / "bin", "kubectl", f"{note}\n{script}")
        self.kubectl = Kubectl(binary=binary, kubeconfig=folder / "kubeconfig")

    @property
    def calls(self) -> list[str]:
        return [call.removeprefix("--namespace=everstep-devcluster ") for call in self._calls.read_text().splitlines()]

    def applied(self, kind: str) -> dict[str, Any]:
        (found,) = (item for item in json.loads(self._applied.read_text())["items"] if item["kind"] == kind)
        return dict(found)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "s3").write_bytes(b"the server")
    return images.archive("s3", folder=tmp_path)


def test_a_store_without_a_node_keeps_its_data_in_its_pod(tmp_path: Path, archive: Path) -> None:
    recorder = Recorder(tmp_path)
    S3(kubectl=recorder.kubectl).install(archive)
    pod = recorder.applied("Deployment")["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert "nodeSelector" not in pod
    assert pod["containers"][0]["image"] == images.name_of(archive)
    assert recorder.calls[-1] == "rollout status deployment/s3 --timeout=90s"


def test_only_one_server_at_a_time_works_on_the_data(tmp_path: Path, archive: Path) -> None:
    """Each server holds its own locks: two at once would let two clients create one object."""
    recorder = Recorder(tmp_path)
    S3(kubectl=recorder.kubectl).install(archive)
    spec = recorder.applied("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_service_leads_to_the_pods_of_the_deployment(tmp_path: Path, archive: Path) -> None:
    recorder = Recorder(tmp_path)
    S3(kubectl=recorder.kubectl).install(archive)
    service, deployment = recorder.applied("Service"), recorder.applied("Deployment")
    template = deployment["spec"]["template"]
    assert (
        service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    )
    (port,) = service["spec"]["ports"]
    assert S3.endpoint == f"http://{service['metadata']['name']}.{service['metadata']['namespace']}:{port['port']}"
    assert port["targetPort"] in {item["name"] for item in template["spec"]["containers"][0]["ports"]}


def test_a_store_on_a_node_keeps_its_data_in_a_folder_that_its_user_owns(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: dict[Path, tuple[int, int]] = {}
    monkeypatch.setattr(os, "chown", lambda path, user, group: owners.update({path: (user, group)}))
    monkeypatch.setattr(S3, "_await_start", lambda _: None)  # which asks the node itself
    recorder = Recorder(tmp_path)
    folder = tmp_path / "data"
    S3(kubectl=recorder.kubectl, node="node1", folder=folder).install(archive)
    pod = recorder.applied("Deployment")["spec"]["template"]["spec"]
    assert pod["volumes"][0]["hostPath"]["path"] == str(folder)
    assert pod["nodeSelector"] == {"kubernetes.io/hostname": "node1"}
    assert owners == {folder: (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"])}
    assert folder.is_dir()


def test_a_stop_returns_after_the_last_pod_is_gone(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    S3(kubectl=recorder.kubectl).stop()
    assert recorder.calls == [
        "scale deployment/s3 --replicas=0",
        "rollout status deployment/s3 --timeout=90s",
        "wait --for=delete pods --selector=app.kubernetes.io/name=s3 --timeout=90s",
    ]


@pytest.mark.parametrize(
    ("answer", "state"), [("", "not installed"), ("0/", "off"), ("1/", "starting"), ("1/1", "on"), ("0/1", "starting")]
)
def test_the_state_of_the_store_is_a_word(tmp_path: Path, answer: str, state: str) -> None:
    assert S3(kubectl=Recorder(tmp_path, f"printf '{answer}'").kubectl).state() == state


def test_a_store_without_a_node_is_reached_through_a_port_of_this_machine(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "echo 'Forwarding from 127.0.0.1:41234 -> 9000'; exec sleep 600")
    with S3(kubectl=recorder.kubectl).reach() as endpoint:
        assert endpoint == "http://127.0.0.1:41234"
    assert recorder.calls == ["port-forward service/s3 :9000"]


def test_a_port_that_cannot_be_forwarded_is_reported_in_kubectls_words(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "echo 'error: services \"s3\" not found'; exit 1")
    with (
        pytest.raises(DevclusterError, match=re.escape('cannot forward a port to the S3 server: error: services "s3"')),
        S3(kubectl=recorder.kubectl).reach(),
    ):
        pytest.fail("there is nothing to reach")


@pytest.mark.parametrize("nodes", [-1, 5001])
def test_a_number_of_fake_nodes_that_cannot_be_is_refused(tmp_path: Path, nodes: int) -> None:
    kwok = Kwok(kubectl=Recorder(tmp_path).kubectl, program=tmp_path / "kwok", folder=tmp_path, mark="none")
    with pytest.raises(DevclusterError, match=rf"{nodes} fake nodes are asked for; choose 0 to 5000"):
        kwok.scale(nodes)
