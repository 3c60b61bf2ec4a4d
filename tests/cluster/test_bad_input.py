"""A mistake that only the cluster can find becomes a condition that names it and says what to change."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from everstep_api.conditions import Reason
from everstep_api.status import TrainingJobStatus
from examples.demo.cluster import Stack
from tests.builders import JobBuilder
from tests.cluster.jobs import ClusterJob
from tests.cluster.test_jobs import a_job_on_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What somebody wrote, and what the job says of it."""

    change: Callable[[JobBuilder], JobBuilder]
    reason: Reason
    said: tuple[str, ...]
    """Parts of the condition's sentence: the value, and what to do."""

    def is_told(self, status: TrainingJobStatus) -> bool:
        """Whether the condition says it."""
        return any(
            condition.reason == self.reason and all(part in condition.message for part in self.said)
            for condition in status.conditions
        )


def _with_wrong_key(job: JobBuilder) -> JobBuilder:
    """A variable of the worker stands above those of its Secrets."""
    return job.setting("spec.workers.env", [{"name": "AWS_SECRET_ACCESS_KEY", "value": "wrong"}])


MISTAKES = {
    "an image that is nowhere": Mistake(
        change=lambda job: job.setting("spec.workers.image", "registry.invalid/trainer:1"),
        reason=Reason.IMAGE_PULL_FAILED,
        said=("2 of 2 workers cannot get the image registry.invalid/trainer:1", "correct spec.workers.image"),
    ),
    "a Secret that is not there": Mistake(
        change=lambda job: job.setting("spec.credentials", [{"name": "bucket", "secretRef": {"name": "keys"}}]),
        reason=Reason.REFERENCE_MISSING,
        said=("there is no Secret keys", "spec.credentials[bucket].secretRef", "create it"),
    ),
    "a typo in the pod's template": Mistake(
        change=lambda job: job.setting("spec.workers.template", {"spec": {"nodeSelektor": {"gpu": "h100"}}}),
        reason=Reason.POD_REFUSED,
        said=("spec.nodeSelektor",),
    ),
    "workers that no node can hold": Mistake(
        change=lambda job: job.setting("spec.workers.resources", {"limits": {"cpu": "512", "memory": "1Gi"}}),
        reason=Reason.WAITING_FOR_WORKERS,
        said=("0 of 2 workers scheduled", "Insufficient cpu"),
    ),
    "a bucket that is not there": Mistake(
        change=lambda job: job.setting("spec.storage.uri", "s3://nobody/runs"),
        reason=Reason.RECIPE_REFUSED,
        said=("s3://nobody/runs", "Make sure that the bucket exists"),
    ),
    "a wrong key to the bucket": Mistake(
        change=_with_wrong_key, reason=Reason.RECIPE_REFUSED, said=("s3://everstep", "spec.credentials")
    ),
    "data that are not there": Mistake(
        change=lambda job: job.setting("spec.recipe.data.train", [{"source": "s3://everstep/data/nothing.jsonl"}]),
        reason=Reason.RECIPE_REFUSED,
        said=("s3://everstep/data/nothing.jsonl",),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_becomes_a_condition_that_says_what_to_change(stack: Stack, mistake: Mistake) -> None:
    with ClusterJob.applied(stack, mistake.change(a_job_on_nodes())) as job:
        job.until(mistake.is_told)
