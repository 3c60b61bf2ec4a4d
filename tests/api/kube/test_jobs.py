"""What an operator does about jobs on a real API server. There are no nodes, so pods only run where a test says so."""

import pytest

from everstep_operator.podspec import config_map_name
from tests.api.kube.agents import MODEL, PretendingAgent
from tests.api.kube.loops import run_to_its_end
from tests.api.kube.operators import Operator
from tests.api.kube.workplace import Workplace
from tests.builders import Manifest, a_job

pytestmark = pytest.mark.usefixtures("operator")


def test_an_applied_job_gets_its_config_map_its_pods_and_a_status(workplace: Workplace) -> None:
    job = workplace.apply(a_job().workers(2))
    pods = workplace.wait_for_pods(job, 2)
    status = workplace.until(lambda: workplace.jobs.get(job).get("status"), "a status")
    uid = workplace.jobs.get(job)["metadata"]["uid"]
    assert workplace.authority(job).startswith("-----BEGIN CERTIFICATE-----")
    config_map = workplace.call("GET", f"/api/v1/{{here}}/configmaps/{config_map_name(job)}")
    assert [owner["uid"] for owner in config_map["metadata"]["ownerReferences"]] == [uid]
    assert all(pod["metadata"]["ownerReferences"][0]["uid"] == uid for pod in pods)
    assert status["workers"]["selector"] == f"everstep.dev/job-uid={uid}"
    accepted = workplace.until(lambda: workplace.condition(job, "Accepted"), "a condition")
    assert (accepted["status"], accepted["reason"]) == ("True", "SpecResolved")
    columns = workplace.plane.kubectl.run("get", "tj", "-n", workplace.namespace, "--no-headers")
    assert job in columns
    assert "0/2" in columns


def test_a_typo_in_the_template_is_told_in_the_words_of_the_api_server_until_it_is_mended(workplace: Workplace) -> None:
    job = workplace.apply(a_job().workers(1).setting("spec.workers.template.spec.tolerationz", [{"key": "gpu"}]))
    accepted = workplace.until(lambda: _is(workplace.condition(job, "Accepted"), "False"), "a refusal")
    assert accepted["reason"] == "PodRefused"
    assert 'unknown field "spec.tolerationz"' in accepted["message"]
    assert not workplace.pods(job)
    told = workplace.until(lambda: workplace.events(job), "an event")
    assert [(event["type"], event["reason"]) for event in told if event["reason"] == "PodRefused"]
    workplace.patch(job, {"spec": {"suspend": True}})
    workplace.apply(a_job().workers(1).setting("spec.suspend", value=False))
    workplace.until(lambda: workplace.pods(job), "a pod of the mended template", timeout_s=10)
    workplace.until(lambda: _is(workplace.condition(job, "Accepted"), "True"), "the mended template to be accepted")


def test_a_pod_that_is_deleted_comes_back(workplace: Workplace) -> None:
    job = workplace.apply(a_job().workers(2))
    pods = workplace.wait_for_pods(job, 2)
    workplace.delete_pod(pods[1])
    again = workplace.wait_for_pods(job, 2, without=pods[1]["metadata"]["uid"])
    assert again[0]["metadata"]["uid"] == pods[0]["metadata"]["uid"]
    assert again[1]["metadata"]["labels"]["everstep.dev/worker-index"] == "1"


def test_a_job_of_another_controller_is_left_alone(workplace: Workplace) -> None:
    other = workplace.apply(a_job().named("other").setting("spec.managedBy", "elsewhere.dev/controller"))
    ours = workplace.apply(a_job().named("ours").workers(1))
    workplace.until(lambda: workplace.pods(ours), "a pod of the job that is ours")
    assert not workplace.pods(other)
    assert "status" not in workplace.jobs.get(other)


def test_kubectl_scale_changes_the_number_of_pods(workplace: Workplace) -> None:
    job = workplace.apply(a_job().workers(1))
    workplace.wait_for_pods(job, 1)
    workplace.plane.kubectl.run("scale", "tj", job, "--replicas=3", "-n", workplace.namespace)
    workplace.wait_for_pods(job, 3)


def test_an_agent_with_a_token_of_the_api_server_brings_a_job_to_its_end(
    workplace: Workplace, operator: Operator
) -> None:
    """The whole way but the training: TokenRequest, TLS, report, world, progress, done, finish, and never again."""
    job = workplace.apply(a_job().workers(1).setting("spec.ttlSecondsAfterFinished", 3600))
    pod = workplace.until(lambda: workplace.pods(job), "a pod")[0]
    workplace.run_pod(pod)
    port = workplace.until(workplace.leader_port, "an EndpointSlice")
    assert port == operator.sync_port
    agent = PretendingAgent(workplace.agent_settings(job, pod, sync_url=f"https://127.0.0.1:{port}"))
    try:
        run_to_its_end(agent.live(timeout_s=40))
    except TimeoutError as error:
        error.add_note(f"heard: {agent.heard}\n{workplace.logs()}")
        raise
    assert agent.worlds == [1]
    assert agent.heard[-1] == "finish"
    complete = workplace.until(lambda: _is(workplace.condition(job, "Complete"), "True"), "the job's end")
    assert complete["reason"] == "ModelWritten"
    status = workplace.jobs.get(job)["status"]
    assert (status["phase"], status["output"]["uri"]) == ("Complete", MODEL)
    assert status["display"]["step"] == "40/40"
    columns = workplace.plane.kubectl.run("get", "tj", job, "-n", workplace.namespace, "--no-headers").split()
    assert columns[:3] == [job, "Complete", "40/40"]
    reasons = {event["reason"] for event in workplace.events(job)}
    assert {"SpecResolved", "Training", "ModelWritten"} <= reasons
    workplace.end_pod(pod)
    workplace.delete_pod(pod)
    later = workplace.apply(a_job().named("later").workers(1))
    workplace.until(lambda: workplace.pods(later), "a pod of a job that was applied later")
    assert not workplace.pods(job)


def test_a_finished_job_never_comes_back(workplace: Workplace) -> None:
    job = workplace.apply(a_job().workers(1).suspended())
    stored = workplace.until(lambda: _with_status(workplace.jobs.get(job)), "a status")
    ended = {
        "type": "Complete",
        "status": "True",
        "reason": "ModelWritten",
        "message": "It is written.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    stored["status"]["conditions"] = [ended]
    stored["status"]["completionTime"] = "2026-01-01T00:00:00Z"
    workplace.jobs.replace_status(stored)
    workplace.patch(job, {"spec": {"suspend": False}})
    later = workplace.apply(a_job().named("later").workers(1))
    workplace.until(lambda: workplace.pods(later), "a pod of a job that was applied later")
    assert not workplace.pods(job)
    assert workplace.condition(job, "Complete") == ended


def test_a_job_goes_when_its_time_after_the_end_is_over(workplace: Workplace) -> None:
    past = a_job().workers(1).setting("spec.activeDeadlineSeconds", 1).setting("spec.ttlSecondsAfterFinished", 0)
    job = workplace.apply(past)
    workplace.until(lambda: workplace.is_gone(job), "the end of the job")
    failed = [event for event in workplace.events(job) if event["reason"] == "DeadlineExceeded"]
    assert [event["type"] for event in failed] == ["Warning"]


def _is(condition: Manifest | None, status: str) -> Manifest | None:
    return condition if condition is not None and condition["status"] == status else None


def _with_status(job: Manifest) -> Manifest | None:
    return job if "status" in job else None
