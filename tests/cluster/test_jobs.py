"""A job on nodes, from its apply to its model, and what people and faults do to it on the way."""

import pytest

from examples.demo.cluster import Stack
from tests.builders import JobBuilder
from tests.cluster.jobs import ClusterJob
from tests.fabric.job import a_small_job

ENDLESS = 100_000
"""Steps that no test waits for."""


def a_job_on_nodes(*, workers: int = 2, steps: int = ENDLESS, at_least: int | None = None) -> JobBuilder:
    """The small job of the fabric's tests, out of the bucket of the cluster."""
    credentials = [{"name": "bucket", "secretRef": {"name": "bucket"}}]
    job = a_small_job("s3://everstep", workers=workers, steps=steps, at_least=at_least)
    return job.setting("spec.credentials", credentials)


def test_a_job_becomes_a_model_in_the_bucket_and_its_pods_end(stack: Stack) -> None:
    with ClusterJob.applied(stack, a_job_on_nodes(steps=30)) as job:
        status = job.complete()
        assert status.output is not None
        assert status.output.uri.startswith(f"s3://everstep/runs/{stack.namespace}/small/")
        assert status.display is not None
        assert status.display.step == "30/30"
        assert job.audited().is_complete
        for pod in job.pods():
            is_over = "--for=jsonpath={.status.phase}=Succeeded"
            stack.kubectl.wait(
                is_over, f"pod/{pod['metadata']['name']}", f"--namespace={stack.namespace}", timeout_s=60
            )
        row = job.kubectl("get", "tj", "small", "--no-headers").split()
        assert row[:3] == ["small", "Complete", "30/30"]


def test_two_workers_come_back_from_a_killed_rank_without_a_new_pod(stack: Stack) -> None:
    with ClusterJob.applied(stack, a_job_on_nodes()) as job:
        job.in_world(1, size=2)
        before = [pod["metadata"]["uid"] for pod in job.pods()]
        job.kill_rank(1)
        status = job.in_world(2, size=2)
        assert status.recoveries is not None
        [loss] = status.recoveries.recent
        assert (loss.cause, loss.worker) == ("RankKilled", 1)
        assert [pod["metadata"]["uid"] for pod in job.pods()] == before
        job.patch_spec({"suspend": True})
        job.until(lambda status: status.phase == "Suspended")
        assert job.audited().is_exact


@pytest.mark.parametrize("worker", [0, 1])
def test_a_deleted_pod_is_replaced_and_the_work_goes_on(stack: Stack, worker: int) -> None:
    with ClusterJob.applied(stack, a_job_on_nodes()) as job:
        job.in_world(1, size=2)
        before = [pod["metadata"]["uid"] for pod in job.pods()]
        job.delete_pod(worker)
        status = job.in_world(2, size=2)
        assert status.world is not None
        assert status.world.resumed_from is not None
        assert status.world.resumed_from.step > 0
        after = [pod["metadata"]["uid"] for pod in job.pods()]
        assert [old == new for old, new in zip(before, after, strict=True)] == [index != worker for index in (0, 1)]


def test_a_job_is_scaled_up_and_down_by_kubectl_while_it_trains(stack: Stack) -> None:
    with ClusterJob.applied(stack, a_job_on_nodes(at_least=1)) as job:
        job.in_world(1, size=2)
        job.kubectl("scale", "tj", "small", "--replicas=3")
        grown = job.in_world(2, size=3)
        job.kubectl("scale", "tj", "small", "--replicas=1")
        shrunk = job.in_world(3, size=1)
        assert shrunk.recoveries is None, "what was planned is no loss"
        assert grown.progress is not None
        assert shrunk.world is not None
        assert shrunk.world.resumed_from is not None
        assert shrunk.world.resumed_from.step >= grown.progress.step
        job.patch_spec({"suspend": True})
        job.until(lambda status: status.phase == "Suspended")
        audited = job.audited()
        assert audited.is_exact
        assert audited.void == 0, "no step was taken twice"


def test_a_suspended_job_has_no_pods_and_goes_on_with_the_next_step(stack: Stack) -> None:
    with ClusterJob.applied(stack, a_job_on_nodes()) as job:
        job.in_world(1, size=2)
        job.patch_spec({"suspend": True})
        status = job.until(lambda status: status.phase == "Suspended")
        assert job.pods() == []
        assert status.checkpoints is not None
        assert status.checkpoints.durable is not None
        step = status.checkpoints.durable.step
        job.patch_spec({"suspend": False})
        status = job.in_world(2, size=2)
        assert status.world is not None
        assert status.world.resumed_from is not None
        assert status.world.resumed_from.step == step
