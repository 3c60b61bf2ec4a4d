"""A pod's manifest becomes a process: the same variables, with the folders of this machine in them."""

import sys
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import everstep_agent.settings
from everstep_api.resolve import resolve
from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import RefusedError
from everstep_operator.decide.decision import NewPod
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.local.container import container_of
from everstep_operator.local.volumes import Volumes, translate
from everstep_operator.podspec import pod_manifest
from everstep_operator.settings import Settings
from tests.builders import JobBuilder, a_job

AGENT_VARIABLES = {f"EVERSTEP_{field.name.upper()}" for field in fields(everstep_agent.settings.Settings)}


def a_pod(builder: JobBuilder) -> dict[str, Any]:
    job = Job(
        key=JobKey("default", "finetune"),
        uid="job-1",
        generation=1,
        version="1",
        spec=builder.spec,
        status=TrainingJobStatus(),
    )
    pod = pod_manifest(job, resolve(builder.spec, {}).spec, NewPod(worker=1), Settings(sync_url="https://127.0.0.1:1"))
    pod["metadata"]["uid"] = "pod-1"
    return pod


def started(builder: JobBuilder, folder: Path, shell: dict[str, str] | None = None) -> Any:
    pod = a_pod(builder)
    volumes = Volumes(folder)
    try:
        mounts = volumes.make(pod, lambda _source: {"token": b"t", "ca.crt": b"c"})
        return container_of(pod, address="127.0.0.9", node="local", mounts=mounts, shell=shell or {"PATH": "/bin"})
    finally:
        for made in volumes._in_memory:  # noqa: SLF001 - made for this test alone
            made.rmdir()


def test_a_process_has_each_variable_of_the_pod_with_folders_of_this_machine(tmp_path: Path) -> None:
    environment = started(a_job(), tmp_path).environment
    assert environment.keys() >= AGENT_VARIABLES
    assert environment["EVERSTEP_POD_UID"] == "pod-1"
    assert environment["EVERSTEP_POD_IP"] == "127.0.0.9"
    assert Path(environment["EVERSTEP_TOKEN_FILE"]).read_text() == "t"
    assert Path(environment["EVERSTEP_CACHE"]).is_dir()
    assert len(environment["EVERSTEP_SOCKET"]) < 100, "the kernel takes 107 bytes"


def test_a_process_runs_this_python_and_dies_with_its_operator(tmp_path: Path) -> None:
    command = started(a_job(), tmp_path).command
    assert command[-3:] == (sys.executable, "-m", "everstep_agent")


def test_variables_of_the_shell_stand_in_for_secrets_and_the_jobs_own_win(tmp_path: Path) -> None:
    job = a_job().setting(
        "spec.workers.env",
        [
            {"name": "GREETING", "value": "hello"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
    )
    shell = {"GREETING": "no", "KEY": "secret", "EVERSTEP_WORKER": "7", "HOME": "/root"}
    environment = started(job, tmp_path, shell).environment
    assert (environment["GREETING"], environment["KEY"], environment["HOME"]) == ("hello", "secret", "/root")
    assert environment["EVERSTEP_WORKER"] == "1"


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        pytest.param(
            "spec.workers.env",
            [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "export KEY in your shell",
            id="a secret that the shell does not have",
        ),
        pytest.param(
            "spec.workers.env",
            [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "spec.priority"}}}],
            "spec.priority, which a process has not",
            id="a field that a process has not",
        ),
        pytest.param(
            "spec.workers.cache",
            {"persistentVolumeClaim": {"claimName": "c"}},
            "use emptyDir or hostPath",
            id="a claim",
        ),
    ],
)
def test_what_a_machine_has_not_is_refused_with_what_to_do(
    path: str, value: object, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=sentence):
        started(a_job().setting(path, value), tmp_path)


@pytest.mark.parametrize(
    ("value", "translated"),
    [
        pytest.param("/cache/models", "/here/models", id="below a mount"),
        pytest.param("/cache", "/here", id="a mount itself"),
        pytest.param("/cache/inner/x", "/there/x", id="below the nearer one of two"),
        pytest.param("/cached", "/cached", id="a path that only begins alike"),
        pytest.param("https://host:1", "https://host:1", id="no path"),
    ],
)
def test_a_path_of_the_container_becomes_one_of_this_machine(value: str, translated: str) -> None:
    mounts = {PurePosixPath("/cache"): Path("/here"), PurePosixPath("/cache/inner"): Path("/there")}
    assert translate(value, mounts) == translated
