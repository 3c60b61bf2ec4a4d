"""A job whose status a newer operator wrote, in the hands of this one."""

import asyncio

from everstep_api.reading import read
from everstep_api.status import TrainingJobStatus
from everstep_operator.decide.facts import JobKey
from everstep_operator.kube.client import Client
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.kube.profiles import Profiles
from tests.builders import Manifest, a_job
from tests.unit.kube.fake_api import FakeApi, says

KNOWN: Manifest = {
    "phase": "Running",
    "workers": {"active": 2, "ready": 2, "training": 2, "selector": "everstep.dev/job-uid=job-1"},
    "recoveries": {"total": 3, "recent": []},
}
NEWER: Manifest = {
    **KNOWN,
    "weather": "fine",
    "workers": {**KNOWN["workers"], "resting": 1},
    "recoveries": {**KNOWN["recoveries"], "slowest": {"milliseconds": 7}},
}


def test_a_status_of_a_newer_operator_is_read_without_what_is_unknown() -> None:
    """Else each look at the job would fail after a rollback, and in the middle of an upgrade."""
    metadata = {"name": "finetune", "namespace": "team", "uid": "job-1", "generation": 1, "resourceVersion": "1"}
    job = {"metadata": metadata, "spec": a_job().spec, "status": NEWER}

    async def run() -> TrainingJobStatus:
        async with FakeApi(answers=[says(job)]).client() as client:
            found = await a_cluster(client).read_job(JobKey("team", "finetune"))
        assert found is not None
        return found.status

    status = asyncio.run(run())
    assert status == read(TrainingJobStatus, KNOWN)
    assert status.recoveries is not None
    assert (status.phase, status.recoveries.total) == ("Running", 3)


def a_cluster(client: Client) -> KubeCluster:
    profiles = Profiles(client, namespace="system")
    return KubeCluster(client, reflectors=[], profiles=profiles, authority_pem=b"", instance="one")
