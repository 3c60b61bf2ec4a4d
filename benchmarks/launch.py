"""Seconds from `kubectl apply` to the first step on a cluster, by stage: `python -m benchmarks.launch`.

The job is `examples/pretrain-job.yaml` cut to small steps, with two workers. Image and data are where they are wanted:
a run that is not counted brings them there. The stages are those of the job's status, `launchMilliseconds`.
"""

import argparse
import json
import statistics
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from devcluster import provider
from everstep_api.history import LaunchMilliseconds
from everstep_api.manifest import read_manifests
from examples.demo.cluster import PROJECT, Stack
from examples.demo.storage import forget_runs
from examples.demo.watching import statuses
from examples.prepare import prepare

STAGES = tuple(LaunchMilliseconds.model_fields)
LIMIT_S = 300.0
_SMALL = {"duration": {"steps": 3}, "batch": {"size": 2}}
_SMALL_DATA = {"maxLength": 128, "validation": {"fraction": 0}}
"""Nothing is held out: the evaluation before the first step would be most of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One job's way to its first step."""

    stack: Stack
    bucket: str
    name: str

    def take(self) -> LaunchMilliseconds:
        """Apply the job, wait for its first step, and remove all of it."""
        where = f"--namespace={self.stack.namespace}"
        [manifest] = read_manifests((PROJECT / "examples" / "pretrain-job.yaml").read_text(encoding="utf-8"))
        manifest["metadata"]["name"] = self.name
        manifest["spec"]["recipe"].update(_SMALL)
        manifest["spec"]["recipe"]["data"].update(_SMALL_DATA)
        self.stack.kubectl.run("apply", where, "-f", "-", stdin=json.dumps(manifest))
        try:
            return self._measured()
        finally:
            self.stack.kubectl.run("delete", "tj", self.name, where, timeout_s=LIMIT_S)
            pods = f"--selector=everstep.dev/job-name={self.name}"
            self.stack.kubectl.wait("--for=delete", "pods", pods, where, timeout_s=LIMIT_S)
            forget_runs(self.bucket, f"{self.stack.namespace}/{self.name}")

    def _measured(self) -> LaunchMilliseconds:
        kubeconfig = self.stack.cluster.kubeconfig
        for status in statuses(kubeconfig, namespace=self.stack.namespace, job=self.name, limit_s=LIMIT_S):
            spent = status.launch_milliseconds
            if spent is not None and spent.first_step is not None:
                return spent
            if status.endings:
                raise SystemExit(status.endings[0].message)
        raise SystemExit(f"{self.name} made no step in {LIMIT_S:.0f} s.")


def main() -> None:
    """Print the stages of each run and their medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.launch", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="runs that are counted (default 5)")
    runs = parser.parse_args().runs
    cluster = provider.choose()
    cluster.up()
    stack = Stack.built(cluster)
    stack.install()
    stack.make_room()
    with stack.bucket() as bucket:
        prepare(bucket, print)
        taken = [Launch(stack=stack, bucket=bucket, name=f"launch-{number}").take() for number in range(runs + 1)]
    launches = taken[1:]
    table = Table("seconds to the end of", *(str(number) for number in range(1, runs + 1)), "median")
    for stage in STAGES:
        _add(table, stage, [getattr(launch, stage) or 0 for launch in launches])
    _add(table, "all", [sum(getattr(launch, stage) or 0 for stage in STAGES) for launch in launches])
    Console().print(table)


def _add(table: Table, title: str, milliseconds: list[int]) -> None:
    table.add_row(
        title,
        *(f"{value / 1000:.2f}" for value in milliseconds),
        f"{statistics.median(milliseconds) / 1000:.2f}",
    )


if __name__ == "__main__":
    main()
