"""The job from its apply to its end, as its status tells it; one worker is killed on the way."""

from dataclasses import dataclass, field

from everstep_api.conditions import ConditionType
from everstep_api.status import TrainingJobStatus
from everstep_cli.display import Display
from everstep_cli.view import View
from examples.demo.cluster import PROJECT, Stack
from examples.demo.problem import DemoError
from examples.demo.watching import statuses

JOB = "finetune"
EXAMPLE = "examples/finetune-job.yaml"

_LIMIT_S = 1200.0
_GONE_TIMEOUT_S = 120.0


@dataclass(kw_only=True)
class Training:
    """One run of the example."""

    stack: Stack
    _said: set[str] = field(default_factory=set)
    _is_killed: bool = False

    def forget(self) -> None:
        """Remove the job of an earlier demo, with its pods."""
        where = f"--namespace={self.stack.namespace}"
        self.stack.kubectl.run("delete", "tj", JOB, where, "--ignore-not-found", timeout_s=_GONE_TIMEOUT_S)
        self.stack.kubectl.run(
            "wait", "--for=delete", "pods", where, f"--selector=everstep.dev/job-name={JOB}",
            f"--timeout={_GONE_TIMEOUT_S:.0f}s", timeout_s=_GONE_TIMEOUT_S + 5,
        )  # fmt: skip

    def run(self, display: Display) -> TrainingJobStatus:
        """Apply the example; return its last status once it is complete.

        Raises:
            DemoError: it failed, or takes too long.
        """
        self.stack.kubectl.run("apply", f"--namespace={self.stack.namespace}", "-f", str(PROJECT / EXAMPLE))
        display.say(f"$ kubectl apply -f {EXAMPLE}")
        for status in statuses(
            self.stack.cluster.kubeconfig, namespace=self.stack.namespace, job=JOB, limit_s=_LIMIT_S
        ):
            self._tell(status, display)
            display.show(View.of(status))
            if status.endings:
                return self._concluded(status)
            if not self._is_killed and is_time_to_kill(status):
                self._kill_worker(display)
        raise DemoError(
            f"The job {JOB} was deleted, or has not ended within {_LIMIT_S / 60:.0f} minutes.",
            self.stack.shown(f"describe tj {JOB}"),
        )

    def _tell(self, status: TrainingJobStatus, display: Display) -> None:
        """Say each sentence of the conditions once, as it comes up."""
        for condition in status.conditions:
            if condition.message not in self._said:
                self._said.add(condition.message)
                display.say(condition.message)

    def _kill_worker(self, display: Display) -> None:
        pod = self._pod(worker=1)
        self._is_killed = True
        display.say(f"$ kubectl delete pod {pod} --grace-period=0 --force", style="bold yellow")
        self.stack.kubectl.run(
            "delete", "pod", pod, f"--namespace={self.stack.namespace}", "--grace-period=0", "--force"
        )

    def _pod(self, *, worker: int) -> str:
        selector = f"everstep.dev/job-name={JOB},everstep.dev/worker-index={worker}"
        found = self.stack.kubectl.get("pods", f"--namespace={self.stack.namespace}", f"--selector={selector}")["items"]
        return str(found[0]["metadata"]["name"])

    def _concluded(self, status: TrainingJobStatus) -> TrainingJobStatus:
        ending = status.endings[0]
        if ending.type == ConditionType.FAILED:
            raise DemoError(f"The job failed: {ending.message}", self.stack.shown(f"describe tj {JOB}"))
        if not self._is_killed:
            raise DemoError(
                "The job ended before a worker could be killed: it wrote no checkpoint on the way.",
                self.stack.shown(f"get tj {JOB} -o yaml"),
            )
        return status


def is_time_to_kill(status: TrainingJobStatus) -> bool:
    """Once something is safe in the bucket, so that it can be seen how it is taken up."""
    durable = status.checkpoints.durable if status.checkpoints else None
    return durable is not None and durable.step > 0 and status.world is not None and status.world.end_time is None
