"""What becomes of jobs when the operator restarts, another one leads, or the release is upgraded: nothing."""

from examples.demo.cluster import SYSTEM, Stack
from tests.cluster.jobs import ClusterJob
from tests.cluster.test_jobs import a_job_on_nodes

_SYSTEM = f"--namespace={SYSTEM}"


def test_a_job_trains_on_while_another_operator_takes_the_lead(stack: Stack) -> None:
    with ClusterJob.applied(stack, a_job_on_nodes()) as job:
        before = job.in_world(1, size=2)
        pods = [(pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in job.pods()]
        leader = stack.kubectl.get("lease", "everstep-operator", _SYSTEM)["spec"]["holderIdentity"]
        stack.kubectl.run("delete", "pod", leader, _SYSTEM, "--grace-period=0", "--force")
        assert before.progress is not None
        step = before.progress.step
        after = job.until(lambda status: status.progress is not None and status.progress.step > step)
        assert stack.kubectl.get("lease", "everstep-operator", _SYSTEM)["spec"]["holderIdentity"] != leader
        assert after.world is not None
        assert after.world.number == 1
        assert after.recoveries is None
        assert pods == [
            (pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in job.pods()
        ]
        job.kill_rank(0)
        job.in_world(2, size=2)


def test_an_upgrade_of_the_release_touches_no_worker(stack: Stack) -> None:
    with ClusterJob.applied(stack, a_job_on_nodes()) as job:
        before = job.in_world(1, size=2)
        pods = [pod["metadata"]["uid"] for pod in job.pods()]
        operators = [pod["metadata"]["name"] for pod in stack.kubectl.get("pods", _SYSTEM)["items"]]
        stack.install({"podAnnotations.upgraded": "yes"})
        for operator in operators:
            stack.kubectl.wait("--for=delete", f"pod/{operator}", _SYSTEM, timeout_s=60)
        assert before.progress is not None
        step = before.progress.step
        after = job.until(lambda status: status.progress is not None and status.progress.step > step)
        assert after.world is not None
        assert after.world.number == 1
        assert after.recoveries is None
        assert [pod["metadata"]["uid"] for pod in job.pods()] == pods
