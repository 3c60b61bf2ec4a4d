"""A job's pods: complete, restricted, and open to the template where it says something."""

from typing import Any

from everstep_api.resolve import resolve
from everstep_api.status import TrainingJobStatus
from everstep_operator.decide.decision import NewPod
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.podspec import pod_manifest, pod_name
from everstep_operator.settings import Settings
from tests.builders import JobBuilder, a_job

SETTINGS = Settings(sync_url="https://everstep.system:8443")


def a_job_read(builder: JobBuilder, uid: str = "job-1") -> Job:
    return Job(
        key=JobKey("team", "finetune"),
        uid=uid,
        generation=1,
        version="1",
        spec=builder.spec,
        status=TrainingJobStatus(),
    )


def a_pod(builder: JobBuilder) -> dict[str, Any]:
    return pod_manifest(a_job_read(builder), resolve(builder.spec, {}).spec, NewPod(worker=3), SETTINGS)


def test_a_pods_name_is_the_same_for_the_same_pod_and_another_for_its_replacement() -> None:
    job = a_job_read(a_job())
    first = pod_name(job, NewPod(worker=3))
    assert first == pod_name(job, NewPod(worker=3))
    assert first.startswith("finetune-3-")
    replaced = pod_name(job, NewPod(worker=3, replaces="pod-1"))
    of_another_job = pod_name(a_job_read(a_job(), "job-2"), NewPod(worker=3))
    assert len({first, replaced, of_another_job}) == 3


def test_a_pod_stands_under_the_restricted_standard() -> None:
    spec = a_pod(a_job())["spec"]
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert spec["automountServiceAccountToken"] is False


def test_a_template_adds_to_the_trainer_and_overrides_where_it_says_the_same() -> None:
    template = {
        "metadata": {"labels": {"team": "nlp"}},
        "spec": {
            "priorityClassName": "low",
            "terminationGracePeriodSeconds": 300,
            "volumes": [{"name": "datasets", "hostPath": {"path": "/datasets"}}],
            "containers": [
                {"name": "sidecar", "image": "proxy"},
                {
                    "name": "trainer",
                    "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
                    "volumeMounts": [{"name": "datasets", "mountPath": "/datasets"}],
                },
            ],
        },
    }
    pod = a_pod(a_job().setting("spec.workers.template", template))
    spec = pod["spec"]
    trainer, sidecar = spec["containers"]
    assert (trainer["name"], sidecar["name"], spec["priorityClassName"]) == ("trainer", "sidecar", "low")
    assert spec["terminationGracePeriodSeconds"] == 300
    assert {"name": "NCCL_DEBUG", "value": "INFO"} in trainer["env"]
    assert {"name": "EVERSTEP_WORKER", "value": "3"} in trainer["env"]
    assert [mount["mountPath"] for mount in trainer["volumeMounts"]][-1] == "/datasets"
    assert pod["metadata"]["labels"]["team"] == "nlp"
    assert pod["metadata"]["labels"]["everstep.dev/job-uid"] == "job-1"


def test_secrets_are_only_named() -> None:
    pod = a_pod(a_job().setting("spec.credentials", [{"name": "bucket", "secretRef": {"name": "keys"}}]))
    assert pod["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]


def test_claims_are_mounted_by_name_and_read_only_unless_we_write_there() -> None:
    job = (
        a_job()
        .setting("spec.recipe.model.source", "pvc://models/small")
        .setting("spec.recipe.data.train", [{"source": "pvc://runs/data/*.jsonl"}])
        .setting("spec.storage.uri", "pvc://runs/everstep")
    )
    spec = a_pod(job)["spec"]
    volumes = {volume["name"]: volume.get("persistentVolumeClaim") for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert volumes["everstep-claim-0"] == {"claimName": "models", "readOnly": True}
    assert volumes["everstep-claim-1"] == {"claimName": "runs", "readOnly": False}
    assert mounts["/mnt/everstep/models"] == {
        "name": "everstep-claim-0",
        "mountPath": "/mnt/everstep/models",
        "readOnly": True,
    }
    assert mounts["/mnt/everstep/runs"]["readOnly"] is False
    assert "everstep-claim-2" not in volumes
    assert {"name": "EVERSTEP_CLAIMS", "value": "/mnt/everstep"} in spec["containers"][0]["env"]


def test_the_token_is_for_this_job_alone() -> None:
    volumes = {volume["name"]: volume for volume in a_pod(a_job())["spec"]["volumes"]}
    [token, authority] = volumes["everstep-sync"]["projected"]["sources"]
    assert token["serviceAccountToken"]["audience"] == "everstep.dev/team/job-1"
    assert authority["configMap"]["name"] == "finetune-everstep"
