"""What a job is held to while operators and profiles change, on a real API server."""

from everstep_operator.decide.pin import KeyOfConfigMap
from everstep_operator.kube.client import Client
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.podspec import config_map_name
from tests.api.kube.calls import on, read
from tests.api.kube.conftest import StartOperator
from tests.api.kube.workplace import Workplace
from tests.builders import Manifest, a_job

_MAPS = "/api/v1/{here}/configmaps"
_PROFILE = "profile-slow"


def image_of(pod: Manifest) -> str:
    image: str = pod["spec"]["containers"][0]["image"]
    return image


def write_profile(workplace: Workplace, text: str) -> None:
    """Make the profile `slow`."""
    labels = {"everstep.dev/profile": "slow"}
    body = {"metadata": {"name": _PROFILE, "labels": labels}, "data": {"spec.yaml": text}}
    workplace.call("POST", _MAPS, body)


def test_an_upgraded_operator_and_a_changed_profile_leave_a_job_as_it_is(
    workplace: Workplace, start_operator: StartOperator
) -> None:
    write_profile(workplace, "workers: {env: [{name: SPEED, value: slow}]}")
    old = start_operator("old", "--image=everstep/trainer:1")
    job = workplace.apply(a_job().workers(2).setting("spec.profile", "slow"))
    first, second = workplace.wait_for_pods(job, 2)
    workplace.until(lambda: workplace.jobs.get(job).get("status", {}).get("trainerImage"), "the pinned image")
    assert old.stop() == 0
    workplace.call("DELETE", f"{_MAPS}/{_PROFILE}")
    new = start_operator("new", "--image=everstep/trainer:2")
    workplace.delete_pod(second)
    _, again = workplace.wait_for_pods(job, 2, without=second["metadata"]["uid"])
    assert image_of(again) == image_of(first) == "everstep/trainer:1"
    assert {"name": "SPEED", "value": "slow"} in again["spec"]["containers"][0]["env"]
    assert new.stop() == 0


def test_a_job_whose_config_map_was_deleted_is_pinned_again_with_an_event(
    workplace: Workplace, start_operator: StartOperator
) -> None:
    old = start_operator("old", "--image=everstep/trainer:1")
    job = workplace.apply(a_job().workers(1))
    workplace.wait_for_pods(job, 1)
    workplace.until(lambda: workplace.jobs.get(job).get("status", {}).get("trainerImage"), "the pinned image")
    assert old.stop() == 0
    workplace.call("DELETE", f"{_MAPS}/{config_map_name(job)}")
    start_operator("new", "--image=everstep/trainer:2")

    def told() -> list[Manifest]:
        return [event for event in workplace.events(job) if event["reason"] == "PinnedAgain"]

    [event] = workplace.until(told, "an event")
    assert event["type"] == "Warning"
    assert workplace.authority(job).startswith("-----BEGIN CERTIFICATE-----")
    assert workplace.jobs.get(job)["status"]["trainerImage"] == "everstep/trainer:1"


def test_a_key_of_a_config_map_is_read_or_is_not_there(workplace: Workplace) -> None:
    async def talk(_: Client, cluster: KubeCluster) -> None:
        job = await read(cluster, workplace, name)
        assert await cluster.read_key(job, KeyOfConfigMap("chat", "chat.jinja")) is None
        workplace.call("POST", _MAPS, {"metadata": {"name": "chat"}, "data": {"chat.jinja": "{{ messages }}"}})
        assert await cluster.read_key(job, KeyOfConfigMap("chat", "chat.jinja")) == "{{ messages }}"
        assert await cluster.read_key(job, KeyOfConfigMap("chat", "other")) is None

    name = workplace.apply(a_job())
    on(workplace, talk)
