"""What an API server refuses of a job's pods ends in a condition with its own sentence, and in no pod."""

import pytest

from tests.api.kube.workplace import Workplace
from tests.builders import JobBuilder, a_job

pytestmark = pytest.mark.usefixtures("operator")

_PRIVILEGED = a_job().workers(1).setting("spec.workers.template.spec.hostNetwork", value=True)
_UNKNOWN_ACCOUNT = a_job().workers(1).setting("spec.workers.template.spec.serviceAccountName", "nobody")


def enforce_restricted(workplace: Workplace) -> None:
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    workplace.call("PATCH", f"/api/v1/namespaces/{workplace.namespace}", labels, kind="application/merge-patch+json")


def allow_one_pod(workplace: Workplace) -> None:
    """A quota; its status is what the controller of quotas would write, which is not here."""
    hard = {"pods": "1"}
    workplace.call("POST", "/api/v1/{here}/resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": hard}})
    status = {"status": {"hard": hard, "used": {"pods": "0"}}}
    workplace.call("PATCH", "/api/v1/{here}/resourcequotas/few/status", status, kind="application/merge-patch+json")


def refused(workplace: Workplace, job: JobBuilder) -> str:
    """Apply the job and return the sentence of its refusal."""
    name = workplace.apply(job)

    def look() -> str | None:
        accepted = workplace.condition(name, "Accepted")
        return accepted["message"] if accepted is not None and accepted["reason"] == "PodRefused" else None

    return workplace.until(look, "a refusal")


def test_a_pod_that_pod_security_forbids_is_told_in_its_words(workplace: Workplace) -> None:
    enforce_restricted(workplace)
    said = refused(workplace, _PRIVILEGED)
    assert 'violates PodSecurity "restricted' in said
    assert "hostNetwork=true" in said
    assert not workplace.pods("finetune")


def test_our_own_pods_stand_under_the_restricted_standard(workplace: Workplace) -> None:
    enforce_restricted(workplace)
    workplace.wait_for_pods(workplace.apply(a_job().workers(1)), 1)


def test_a_service_account_that_is_not_there_is_named(workplace: Workplace) -> None:
    said = refused(workplace, _UNKNOWN_ACCOUNT)
    assert 'serviceaccount "nobody" not found' in said
    assert not workplace.pods("finetune")


def test_a_quota_for_some_of_the_workers_is_told_and_those_that_fit_are_made(workplace: Workplace) -> None:
    allow_one_pod(workplace)
    said = refused(workplace, a_job().workers(2, at_least=1))
    assert "exceeded quota: few" in said
    assert len(workplace.pods("finetune")) == 1
