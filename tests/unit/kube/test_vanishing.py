"""What is there when it is made and gone when it is looked at, as a former job's objects, is made again at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import ConflictError
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.decide.pin import pin_now
from everstep_operator.kube.client import Client
from everstep_operator.kube.cluster import KubeCluster
from everstep_operator.kube.profiles import Profiles
from everstep_operator.podspec import config_map_name, owner_reference
from tests.builders import Manifest, a_job
from tests.unit.kube.fake_api import Answer, FakeApi, says

JOB = Job(
    key=JobKey("team", "finetune"),
    uid="job-1",
    generation=1,
    version="1",
    spec=a_job().spec,
    status=TrainingJobStatus(),
)
NAME = config_map_name("finetune")
POD: Manifest = {
    "metadata": {"namespace": "team", "name": "finetune-0-1a2b3", "ownerReferences": [owner_reference(JOB)]}
}
A_FORMER_JOBS: Manifest = {
    "metadata": {"name": NAME, "resourceVersion": "7", "ownerReferences": [{**owner_reference(JOB), "uid": "job-0"}]}
}

THERE = says({"reason": "AlreadyExists", "message": "it exists."}, 409)
GONE = says({"reason": "NotFound", "message": f'"{NAME}" not found'}, 404)

Call = Callable[[KubeCluster], Awaitable[None]]


async def prepare(cluster: KubeCluster) -> None:
    await cluster.prepare(JOB, pin_now(JOB.spec, {}, image="trainer"), ())


async def create_pod(cluster: KubeCluster) -> None:
    await cluster.create_pod(POD)


def a_cluster(client: Client) -> KubeCluster:
    profiles = Profiles(client, namespace="system")
    return KubeCluster(client, reflectors=[], profiles=profiles, authority_pem=b"an authority", instance="one")


@pytest.mark.parametrize(
    ("call", "answers"),
    [
        pytest.param(prepare, [THERE, GONE], id="a ConfigMap, before it is read"),
        pytest.param(prepare, [THERE, says(A_FORMER_JOBS), GONE], id="a ConfigMap, before it is written"),
        pytest.param(create_pod, [THERE, GONE], id="a pod"),
    ],
)
def test_what_vanishes_before_it_is_ours_is_a_conflict_and_no_refusal(call: Call, answers: list[Answer]) -> None:
    """A refusal would be told to people, and keep a job from its pods for half a minute."""

    async def run() -> int:
        api = FakeApi(answers=list(answers))
        async with api.client() as client:
            with pytest.raises(ConflictError, match=r"it exists\. Now it is gone\."):
                await call(a_cluster(client))
        return len(api.requests)

    assert asyncio.run(run()) == len(answers)
