"""`kubectl scale` and `kubectl get`: the subresource, its guard, and the columns."""

import json

import pytest

from devcluster.kubectl import Kubectl
from devcluster.problem import DevclusterError
from tests.api.jobs import Jobs, Refused
from tests.builders import a_job


def test_scaling_below_the_minimum_is_refused_with_both_numbers(jobs: Jobs) -> None:
    jobs.create(a_job().workers(4, at_least=2).manifest)
    with pytest.raises(Refused) as refused:
        jobs.scale("finetune", 1)
    assert "minReplicas is 2 but replicas is 1; set replicas to 2 or more" in refused.value.sentence


def test_kubectl_scale_says_the_same(jobs: Jobs, kubectl: Kubectl) -> None:
    jobs.create(a_job().workers(4, at_least=2).manifest)
    with pytest.raises(DevclusterError, match="minReplicas is 2 but replicas is 1; set replicas to 2 or more"):
        kubectl.run("scale", f"--namespace={jobs.namespace}", "tj/finetune", "--replicas=1")


def test_kubectl_scale_changes_a_running_job(jobs: Jobs, kubectl: Kubectl) -> None:
    jobs.create(a_job().workers(4, at_least=2).manifest)
    kubectl.run("scale", f"--namespace={jobs.namespace}", "tj/finetune", "--replicas=3")
    assert jobs.get("finetune")["spec"]["workers"]["replicas"] == 3


def test_autoscalers_see_wish_count_and_selector(jobs: Jobs) -> None:
    stored = jobs.create(a_job().workers(4).manifest)
    selector = f"everstep.dev/job-uid={stored['metadata']['uid']}"
    jobs.replace_status({**stored, "status": {"workers": {"active": 3, "selector": selector}}})
    scale = jobs.scale_of("finetune")
    assert scale["spec"] == {"replicas": 4}
    assert scale["status"] == {"replicas": 3, "selector": selector}


def test_kubectl_get_tells_the_story_in_its_columns(jobs: Jobs, kubectl: Kubectl) -> None:
    stored = jobs.create(a_job().manifest)
    status = {
        "phase": "Running",
        "display": {"step": "1262/5000", "workers": "4/4", "remaining": "1h30m", "metric": "loss 1.83"},
        "progress": {
            "step": 1262,
            "lastUpdateTime": "2026-01-01T00:00:00Z",
            "metrics": [{"name": "learningRate", "value": "0.0002"}, {"name": "loss", "value": "1.79"}],
        },
        "recoveries": {"total": 2},
        "goodput": {"percent": 97},
    }
    jobs.replace_status({**stored, "status": status})
    lines = kubectl.run("get", f"--namespace={jobs.namespace}", "tj").splitlines()
    assert lines[0].split() == ["NAME", "STATE", "STEP", "LOSS", "WORKERS", "REMAINING", "REASON", "AGE"]
    assert lines[1].split()[:6] == ["finetune", "Running", "1262/5000", "1.79", "4/4", "1h30m"]
    wide = kubectl.run("get", f"--namespace={jobs.namespace}", "tj", "--output=wide").splitlines()
    assert wide[0].split()[-3:] == ["RESTARTS", "GOODPUT", "METRIC"]
    assert wide[1].split()[-4:] == ["2", "97", "loss", "1.83"]
    listed = json.loads(kubectl.run("get", f"--namespace={jobs.namespace}", "everstep", "--output=json"))
    assert [item["kind"] for item in listed["items"]] == ["TrainingJob"]
