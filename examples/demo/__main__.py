"""`make demo`: from nothing to a trained model, with a worker killed on the way."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from devcluster import provider
from devcluster.problem import DevclusterError
from devcluster.provider import Cluster
from everstep_cli.conclusion import achieved
from everstep_cli.display import Display
from everstep_trainer.errors import TrainerError
from examples.demo.cluster import Stack
from examples.demo.local import run_without_cluster
from examples.demo.problem import DemoError
from examples.demo.result import tell_answers
from examples.demo.stages import Stages
from examples.demo.storage import forget_runs
from examples.demo.training import JOB, Training
from examples.prepare import PrepareError, prepare

PROFILE = {"profiles.default.checkpoint.everySteps": "10"}
"""What jobs of this cluster have where they are silent: a checkpoint after each quarter of the example."""


def main() -> None:
    """Run the demo; a failure ends with its reason and a command that shows more."""
    console = Console()
    try:
        if is_cluster_possible():
            with _one_tree_of_errors():
                run_on_cluster(provider.choose(), console)
        else:
            console.print(
                "There is no cluster to be had here: one of this machine wants root on Linux, another one is named by "
                "KUBECONFIG and DEVCLUSTER_CONTEXT (README says how). The same job runs by `everstep run` instead.",
                soft_wrap=True,
            )
            run_without_cluster()
    except DemoError as problem:
        console.print(f"\ndemo: {problem}", style="red", highlight=False, markup=False, soft_wrap=True)
        console.print(f"More: {problem.more}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


def is_cluster_possible() -> bool:
    """Whether a cluster is named, or can be made on this machine."""
    return "DEVCLUSTER_CONTEXT" in os.environ or (sys.platform == "linux" and os.geteuid() == 0)


def run_on_cluster(cluster: Cluster, console: Console) -> None:
    """Everything, in order."""
    stages = Stages(console=console, count=6)
    with stages.stage("Cluster", "15 s; 8 minutes the first time, to build Kubernetes"):
        cluster.up()
    with stages.stage("Images", "5 s; 5 minutes the first time"):
        stack = Stack.built(cluster)
    with stages.stage("Helm chart", "10 s"):
        stack.install(PROFILE)
        stack.make_room()
    training = Training(stack=stack)
    with stack.bucket() as bucket:
        with stages.stage("Model and data", "a second; a minute the first time"):
            training.forget()
            forget_runs(bucket, f"{stack.namespace}/{JOB}")
            prepare(bucket, stages.say)
        with stages.stage("Training", "2 minutes"), Display(console) as display:
            status = training.run(display)
        with stages.stage("Result", "20 s"):
            for sentence in achieved(status):
                stages.say(sentence)
            tell_answers(status, bucket, more=stack.shown(f"get tj {JOB} -o yaml"))
    stages.conclude()
    _tell_next(stack, console)


def _tell_next(stack: Stack, console: Console) -> None:
    kubectl = f"kubectl --namespace={stack.namespace}"
    console.print(
        "\nWhat to type next:\n"
        f"  export KUBECONFIG={stack.cluster.kubeconfig} PATH=$PATH:{stack.kubectl.binary.parent}\n"
        f"  {kubectl} get tj\n"
        f"  {kubectl} describe tj {JOB}\n"
        f"  {kubectl} apply -f examples/pretrain-job.yaml && {kubectl} get tj --watch\n"
        f"  {kubectl} scale tj pretrain --replicas=3\n"
        "  make cluster-down",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@contextmanager
def _one_tree_of_errors() -> Iterator[None]:
    try:
        yield
    except (DevclusterError, PrepareError, TrainerError) as error:
        raise DemoError(str(error), f"{sys.executable} -m devcluster status") from error


if __name__ == "__main__":
    main()
