"""What never changes, what changes only while a job is suspended, and what always may."""

import pytest

from everstep_api.workers import Workers
from tests.api.jobs import Jobs, Refused
from tests.builders import JobBuilder, Manifest, a_job

RICH = (
    a_job()
    .setting("spec.recipe.model", {"config": {"model_type": "llama", "hidden_size": 4}, "tokenizer": {"source": "a/b"}})
    .setting("spec.profile", "h100")
    .setting("spec.credentials", [{"name": "bucket", "secretRef": {"name": "bucket"}}])
    .setting("spec.workers.image", "trainer:1")
    .setting("spec.workers.env", [{"name": "A", "value": "1"}])
    .setting("spec.workers.template", {"spec": {"nodeSelector": {"zone": "a"}, "tolerations": [{"key": "gpu"}]}})
)
WHILE_SUSPENDED = (
    "changes only while the job is suspended, so nothing was applied; apply suspend: true alone, "
    "wait until no worker is active, then apply the rest"
)
WHEN_NONE_IS_ACTIVE = (
    "changes only when no worker is active but 2 still are, so nothing was applied; "
    "wait until status.workers.active is 0, then apply it again"
)
OTHER_RECIPE = (
    "spec.recipe: Forbidden: the recipe of a job never changes; delete the job and apply it anew, "
    "or apply it under another name"
)
OTHER_STORAGE = (
    "spec.storage: Forbidden: storage.uri is s3://team/runs and cannot become s3://other/runs; apply the "
    "job under another name to store its work elsewhere"
)
OTHER_NAME = "spec.%s: Forbidden: %s is %s and cannot become %s; delete the job and apply it anew"

NEVER = {
    "the recipe": (RICH.setting("spec.recipe.seed", 7), OTHER_RECIPE),
    "a free-form part of the recipe": (RICH.setting("spec.recipe.model.config.hidden_size", 8), OTHER_RECIPE),
    "the storage": (RICH.setting("spec.storage.uri", "s3://other/runs"), OTHER_STORAGE),
    "the profile": (RICH.setting("spec.profile", "a100"), OTHER_NAME % ("profile", "profile", "h100", "a100")),
    "the profile, by taking it away": (
        RICH.without("spec.profile"),
        OTHER_NAME % ("profile", "profile", "h100", "absent"),
    ),
    "the controller, by naming one": (
        RICH.setting("spec.managedBy", "example.com/other"),
        OTHER_NAME % ("managedBy", "managedBy", "absent", "example.com/other"),
    ),
}
ONLY_WHILE_SUSPENDED = {
    "credentials": RICH.setting("spec.credentials", [{"name": "bucket", "secretRef": {"name": "other"}}]),
    "workers.image": RICH.setting("spec.workers.image", "trainer:2"),
    "workers.resources": RICH.setting("spec.workers.resources", {"limits": {"cpu": 2}}),
    "workers.processesPerWorker": RICH.setting("spec.workers.processesPerWorker", 2),
    "workers.env": RICH.setting("spec.workers.env", [{"name": "A", "value": "2"}]),
    "workers.cache": RICH.setting("spec.workers.cache", {"hostPath": {"path": "/cache"}}),
    "workers.template": RICH.setting("spec.workers.template.spec.nodeSelector", {"zone": "b"}),
}
ALWAYS = {
    "the number of workers": RICH.workers(4, at_least=2),
    "the checkpoints": RICH.setting("spec.checkpoint.everySteps", 10),
    "the output": RICH.setting("spec.output.uri", "s3://team/model"),
    "the budget": RICH.setting("spec.recovery.maxRestarts", 3),
    "the deadline": RICH.setting("spec.activeDeadlineSeconds", 60),
    "the time to live": RICH.setting("spec.ttlSecondsAfterFinished", 60),
    "the pod policy": RICH.setting("spec.cleanPodPolicy", "All"),
    "suspend": RICH.suspended(),
}


def _change(jobs: Jobs, job: JobBuilder, change: JobBuilder, *, active: int = 0) -> Manifest:
    """Store the job, its workers as the operator would count them, and then the change."""
    stored = jobs.create(job.manifest)
    stored["status"] = {"workers": {"active": active}}
    stored = jobs.replace_status(stored)
    return jobs.replace({**stored, "spec": change.spec})


@pytest.mark.parametrize("change", ALWAYS.values(), ids=ALWAYS.keys())
def test_what_concerns_no_pod_and_no_weight_changes_while_the_job_runs(jobs: Jobs, change: JobBuilder) -> None:
    assert _change(jobs, RICH, change, active=2)["spec"] == change.spec


@pytest.mark.parametrize(("change", "sentence"), NEVER.values(), ids=NEVER.keys())
def test_what_makes_the_job_itself_never_changes(jobs: Jobs, change: JobBuilder, sentence: str) -> None:
    with pytest.raises(Refused) as running:
        _change(jobs, RICH, change)
    assert running.value.sentence == sentence
    with pytest.raises(Refused) as suspended:
        _change(jobs, RICH.named("suspended").suspended(), change.suspended())
    assert suspended.value.sentence == sentence


@pytest.mark.parametrize(("field", "change"), ONLY_WHILE_SUSPENDED.items(), ids=ONLY_WHILE_SUSPENDED.keys())
def test_what_pods_are_made_of_does_not_change_while_the_job_runs(jobs: Jobs, field: str, change: JobBuilder) -> None:
    with pytest.raises(Refused) as refused:
        _change(jobs, RICH, change)
    assert refused.value.sentence == f"spec.{field}: Forbidden: {field} {WHILE_SUSPENDED}"


@pytest.mark.parametrize("change", ONLY_WHILE_SUSPENDED.values(), ids=ONLY_WHILE_SUSPENDED.keys())
def test_what_pods_are_made_of_changes_while_the_job_is_suspended(jobs: Jobs, change: JobBuilder) -> None:
    assert _change(jobs, RICH.suspended(), change.suspended())["spec"] == change.suspended().spec


def test_a_corrected_job_is_resumed_by_the_same_write(jobs: Jobs) -> None:
    change = ONLY_WHILE_SUSPENDED["workers.image"]
    assert _change(jobs, RICH.suspended(), change)["spec"] == change.spec


def test_setting_suspend_with_the_change_is_too_early_and_applies_neither(jobs: Jobs) -> None:
    """The sentence says so, since one might think that the job is at least suspended now."""
    with pytest.raises(Refused) as refused:
        _change(jobs, RICH, ONLY_WHILE_SUSPENDED["workers.image"].suspended(), active=2)
    assert refused.value.sentence == f"spec.workers.image: Forbidden: workers.image {WHILE_SUSPENDED}"
    assert "suspend" not in jobs.get("finetune")["spec"]


def test_a_job_is_not_suspended_before_its_last_worker_is_gone(jobs: Jobs) -> None:
    with pytest.raises(Refused) as refused:
        _change(jobs, RICH.suspended(), ONLY_WHILE_SUSPENDED["workers.image"].suspended(), active=2)
    assert refused.value.sentence == f"spec.workers.image: Forbidden: workers.image {WHEN_NONE_IS_ACTIVE}"


def test_every_field_of_the_workers_has_its_rule() -> None:
    """A new field of `workers` lands in one of the two groups, and this table has to say in which."""
    fields = {field.alias for field in Workers.model_fields.values()}
    guarded = {name.removeprefix("workers.") for name in ONLY_WHILE_SUSPENDED if name != "credentials"}
    assert fields == {"replicas", "minReplicas"} | guarded
