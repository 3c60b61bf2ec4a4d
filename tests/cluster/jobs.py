"""A job on real nodes: the ways to wait for it, to look at it and to injure it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from devcluster.kubectl import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_trainer.data.audit import Audit, audit
from everstep_trainer.objects import Store
from examples.demo.cluster import Stack
from examples.demo.watching import statuses
from tests.builders import JobBuilder
from tests.fabric.job import is_training

PATIENCE_S = 240.0
"""Limit of one wait. Two workers import torch and transformers in 6 s on two idle cores, in a minute on busy ones."""

_RANK = """
import os, signal
def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
def start(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])
[fork_server] = [child for child in children(1) if b"forkserver" in open(f"/proc/{child}/cmdline", "rb").read()]
os.kill(min(children(fork_server), key=start), signal.SIGKILL)
"""
"""Kills the oldest child of the fork server: spares are made after the rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterJob:
    """A job that was applied."""

    stack: Stack
    name: str

    @classmethod
    @contextmanager
    def applied(cls, stack: Stack, builder: JobBuilder) -> Iterator[Self]:
        """Apply the job as a person does; delete it at the end."""
        manifest = builder.setting("metadata.namespace", stack.namespace).manifest
        job = cls(stack=stack, name=manifest["metadata"]["name"])
        job.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        try:
            yield job
        except BaseException as error:
            error.add_note(job.story())
            raise
        finally:
            job.kubectl("delete", "tj", job.name, "--wait=false")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl says in the job's namespace."""
        return self.stack.kubectl.run(f"--namespace={self.stack.namespace}", *arguments, stdin=stdin)

    def until(self, is_so: Callable[[TrainingJobStatus], bool]) -> TrainingJobStatus:
        """Wait until the status is so; a job that ends before fails the test."""
        status = TrainingJobStatus()
        for status in statuses(
            self.stack.cluster.kubeconfig, namespace=self.stack.namespace, job=self.name, limit_s=PATIENCE_S
        ):
            if is_so(status):
                return status
            if status.endings:
                break
        raise AssertionError(f"This was awaited in vain; the last status is {json.dumps(status.manifest(), indent=1)}")

    def in_world(self, number: int, *, size: int) -> TrainingJobStatus:
        """Wait until this world or a later one of this size trains, with a checkpoint in the bucket."""

        def is_so(status: TrainingJobStatus) -> bool:
            world = status.world
            if world is None or world.number < number or world.size != size:
                return False
            is_told = world.number == 1 or world.resumed_from is not None
            return is_told and is_training(status) and status.checkpoints is not None

        return self.until(is_so)

    def complete(self) -> TrainingJobStatus:
        """Wait for the model."""
        return self.until(lambda status: status.phase == "Complete")

    def pods(self) -> list[Manifest]:
        """Its pods that are not on their way out, by worker."""
        found = self.stack.kubectl.get(
            "pods", f"--namespace={self.stack.namespace}", f"--selector=everstep.dev/job-name={self.name}"
        )["items"]
        live: list[Manifest] = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return sorted(live, key=lambda pod: int(pod["metadata"]["labels"]["everstep.dev/worker-index"]))

    def pod(self, worker: int) -> str:
        """Name of the worker's pod."""
        return str(self.pods()[worker]["metadata"]["name"])

    def kill_rank(self, worker: int) -> None:
        """kill -9 of a training process."""
        self.kubectl("exec", self.pod(worker), "--container=trainer", "--", "python", "-c", _RANK)

    def delete_pod(self, worker: int) -> None:
        """Delete the worker's pod by force."""
        self.kubectl("delete", "pod", self.pod(worker), "--grace-period=0", "--force")

    def patch_spec(self, change: Manifest) -> None:
        """Change a part of the spec."""
        self.kubectl("patch", "tj", self.name, "--type=merge", "-p", json.dumps({"spec": change}))

    def audited(self) -> Audit:
        """What became of the planned rows, from the bucket alone."""
        metadata = self.stack.kubectl.get("tj", self.name, f"--namespace={self.stack.namespace}")["metadata"]
        with self.stack.bucket() as bucket:
            return audit(Store.at(f"{bucket}/runs/{self.stack.namespace}/{self.name}/{metadata['uid']}"))

    def story(self) -> str:
        """What a person would read of it after a failure."""
        told = [self.kubectl("get", "tj,pods,events", "-o", "wide"), self.kubectl("describe", "tj", self.name)]
        told += [self.kubectl("logs", pod["metadata"]["name"], "--tail=40") for pod in self.pods()]
        return "\n".join(told)
