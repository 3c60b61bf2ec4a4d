"""What a job owns beside its pods."""

import pytest

from everstep_api.resolve import resolve
from everstep_api.status import TrainingJobStatus
from everstep_operator.belongings import belongings_of
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.settings import Settings
from tests.builders import JobBuilder, Manifest, a_job


def belongings(builder: JobBuilder, settings: Settings) -> dict[str, Manifest]:
    spec = builder.spec
    job = Job(
        key=JobKey("team", "finetune"), uid="job-1", generation=1, version="1", spec=spec, status=TrainingJobStatus()
    )
    return {found["kind"]: found for found in belongings_of(job, resolve(spec, {}).spec, settings)}


SETTINGS = Settings(sync_url="https://everstep.system:8443", namespace="system")


@pytest.mark.parametrize(
    ("builder", "unavailable"),
    [
        pytest.param(a_job().workers(4), 1, id="it needs all"),
        pytest.param(a_job().workers(4, at_least=4), 1, id="it says that it needs all"),
        pytest.param(a_job().workers(4, at_least=3), 1, id="it can lack one"),
        pytest.param(a_job().workers(8, at_least=2), 6, id="it can lack six"),
    ],
)
def test_a_drain_takes_as_many_workers_as_the_job_can_lack(builder: JobBuilder, unavailable: int) -> None:
    """Else an elastic job that the cluster has no room for in full would hold up each drain for ever."""
    budget = belongings(builder, SETTINGS)["PodDisruptionBudget"]
    assert budget["spec"]["maxUnavailable"] == unavailable
    assert budget["spec"]["selector"] == {"matchLabels": {"everstep.dev/job-uid": "job-1"}}


def test_a_single_worker_has_no_budget() -> None:
    assert "PodDisruptionBudget" in belongings(a_job().workers(2), SETTINGS)
    assert "PodDisruptionBudget" not in belongings(a_job().workers(1), SETTINGS)


def test_workers_are_reached_by_one_another_the_operator_and_prometheus() -> None:
    policy = belongings(a_job(), SETTINGS)["NetworkPolicy"]["spec"]
    ours = {"matchLabels": {"everstep.dev/job-uid": "job-1"}}
    among, figures = policy["ingress"]
    assert (policy["podSelector"], policy["policyTypes"]) == (ours, ["Ingress"])
    assert among == {"from": [{"podSelector": ours}]}
    assert figures["ports"] == [{"port": 8470, "protocol": "TCP"}]
    operator, prometheus = figures["from"]
    assert operator["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "system"}}
    assert prometheus["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}


def test_network_policies_can_be_switched_off() -> None:
    settings = Settings(sync_url="https://everstep.system:8443", network_policies=False)
    assert "NetworkPolicy" not in belongings(a_job(), settings)


def test_all_that_a_job_owns_goes_with_it() -> None:
    for found in belongings(a_job(), SETTINGS).values():
        assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == ["job-1"]
        assert (found["metadata"]["namespace"], found["metadata"]["name"]) == ("team", "finetune-everstep")
