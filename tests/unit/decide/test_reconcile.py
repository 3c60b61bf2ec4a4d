"""The order in which a decision is acted upon, and what a fault leaves undone."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import ConflictError, RefusedError, UnreachableError
from everstep_operator.control import Control
from everstep_operator.decide.facts import JobKey
from everstep_operator.queue import WorkQueue
from everstep_operator.sync.certificates import Keys
from everstep_operator.sync.tokens import TokenVerifier
from tests.builders import a_job
from tests.unit.decide.fake_cluster import KEY, SETTINGS, Desk, FakeCluster

PREPARE = "prepare PodDisruptionBudget NetworkPolicy"


def test_pods_come_before_the_status_and_directives_after_it() -> None:
    desk = Desk()
    calls, _ = desk.look()
    assert calls == ["read", "rehearse 0", PREPARE, "create 0", "create 1", "write", "release"]


def test_a_job_on_which_nothing_changed_is_only_read() -> None:
    desk = Desk()
    desk.look()
    desk.look()
    calls, _ = desk.look()
    assert calls == ["read", "release"]


def test_what_a_job_owns_follows_its_counts_though_no_pod_is_made() -> None:
    desk = Desk()
    desk.look()
    desk.look()
    assert desk.cluster.job is not None
    spec = a_job().workers(2, at_least=1).spec
    desk.cluster.job = replace(desk.cluster.job, spec=spec, generation=2)
    desk.cluster.faults["write"] = ConflictError("somebody wrote first")
    with pytest.raises(ConflictError):
        desk.look()
    calls, _ = desk.look()
    assert calls[:2] == ["read", PREPARE], "it was not written that the new counts are acted upon"
    calls, _ = desk.look()
    assert PREPARE not in calls


def test_policies_that_are_switched_off_are_taken_from_each_job_once() -> None:
    """Also from one that runs and makes no pod; a call that had no answer is made again."""
    desk = Desk(replace(SETTINGS, network_policies=False))
    desk.cluster.faults["remove NetworkPolicy"] = UnreachableError("no answer within 10 s")
    with pytest.raises(UnreachableError):
        desk.look()
    calls, _ = desk.look()
    assert calls[:4] == ["read", "remove NetworkPolicy", "rehearse 0", "prepare PodDisruptionBudget"]
    calls, _ = desk.look()
    assert "remove NetworkPolicy" not in calls


def test_a_world_that_could_not_be_written_is_never_heard_of() -> None:
    desk = Desk()
    desk.look()
    desk.look()
    desk.all_ready()
    desk.cluster.faults["write"] = ConflictError("somebody wrote first")
    with pytest.raises(ConflictError):
        desk.look()
    assert "run" not in desk.told.actions.values()
    desk.look()
    assert set(desk.told.actions.values()) == {"run"}


def test_a_refused_pod_is_a_condition_at_once_and_no_other_pod_is_made() -> None:
    desk = Desk()
    desk.cluster.faults["rehearse 0"] = RefusedError("exceeded quota: cpu")
    calls, again_s = desk.look()
    assert (calls, again_s) == (["read", "rehearse 0", "write", "release"], 0.0)
    calls, again_s = desk.look()
    assert "rehearse 0" not in calls
    assert again_s is not None
    assert again_s > 20
    assert desk.cluster.job is not None
    [accepted] = [item for item in desk.cluster.job.status.conditions if item.type == "Accepted"]
    assert (accepted.status, accepted.reason) == ("False", "PodRefused")
    assert "exceeded quota: cpu" in accepted.message


def test_a_refused_pod_stays_refused_beside_one_that_is_slow_to_start() -> None:
    """What a slow container may lack is put in place at each look, which says nothing of the pod that was refused."""
    desk = Desk()
    desk.cluster.faults["create 1"] = RefusedError("exceeded quota: cpu")
    desk.look()
    long_ago = datetime.now(UTC) - timedelta(minutes=2)
    for name, pod in desk.cluster.there.items():
        desk.cluster.there[name] = replace(pod, phase="Pending", created=long_ago, scheduled=long_ago, started=None)
    for _ in range(3):
        calls, _ = desk.look()
        assert PREPARE in calls
        assert "create 1" not in calls
        assert desk.accepted() == ("False", "PodRefused")


def test_a_refusal_is_over_once_its_pod_is_made() -> None:
    desk = Desk()
    desk.cluster.faults["create 1"] = RefusedError("exceeded quota: cpu")
    desk.look()
    desk.look()
    desk.passes_the_refusal()
    calls, again_s = desk.look()
    assert "create 1" in calls
    assert again_s == 0.0
    desk.look()
    assert desk.accepted() == ("True", "SpecResolved")


def test_a_refusal_is_over_once_what_pods_need_is_in_place_again() -> None:
    """The refusal of a ConfigMap or a PodDisruptionBudget ends without a pod that is made."""
    desk = Desk()
    desk.look()
    desk.refuses("The PodDisruptionBudget belongs to somebody else")
    calls, again_s = desk.look()
    assert PREPARE in calls
    assert again_s == 0.0
    desk.look()
    assert desk.accepted() == ("True", "SpecResolved")


def test_a_cluster_that_does_not_answer_leaves_the_rest_undone() -> None:
    desk = Desk()
    desk.cluster.faults["create 1"] = UnreachableError("no answer within 10 s")
    with pytest.raises(UnreachableError):
        desk.look()
    assert "write" not in desk.cluster.calls
    calls, _ = desk.look()
    assert calls == ["read", "rehearse 1", PREPARE, "create 1", "write", "release"], "what was made is not made again"


def test_a_chat_template_is_read_until_the_job_is_pinned_to_it() -> None:
    desk = Desk()
    assert desk.cluster.job is not None
    reference = {"configMapKeyRef": {"name": "chat", "key": "template.jinja"}}
    spec = a_job().setting("spec.recipe.model.chatTemplate", reference).spec
    desk.cluster.job = replace(desk.cluster.job, spec=spec)
    calls, again_s = desk.look()
    assert (calls, again_s) == (["read", "read chat/template.jinja", "write", "release"], 10)
    desk.cluster.text = "{{ messages }}"
    calls, _ = desk.look()
    assert calls[:3] == ["read", "read chat/template.jinja", "rehearse 0"]
    desk.cluster.text = "another one"
    calls, _ = desk.look()
    assert "read chat/template.jinja" not in calls
    assert desk.told.template == "{{ messages }}"


def test_a_job_that_is_gone_is_forgotten_and_its_agents_hear_so() -> None:
    desk = Desk()
    desk.look()
    desk.cluster.job = None
    assert desk.look() == (["read", "close job-1"], None)
    assert desk.shown.calls[-1] == "forget"
    assert desk.look() == (["read"], None)


def test_a_job_that_was_applied_anew_has_nothing_of_the_former_one() -> None:
    """Its agents hear that they are not wanted, and its series end: Prometheus would else add the two jobs up."""
    desk = Desk()
    desk.look()
    old = desk.cluster.job
    assert old is not None
    desk.all_ready()
    assert desk.reports.of(old.uid)
    desk.cluster.job = replace(old, uid="job-2", status=TrainingJobStatus())
    desk.cluster.there.clear()
    desk.cluster.pin = None
    calls, _ = desk.look()
    assert calls[:3] == ["read", "close job-1", "rehearse 0"]
    assert desk.shown.calls == ["follow None Pending", "forget", "follow None Pending"]
    assert not desk.reports.of(old.uid)
    desk.look()
    assert desk.shown.calls.count("forget") == 1


def test_a_fault_is_tried_again_and_stops_no_other_job(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> list[str]:
        cluster, queue = FakeCluster(), WorkQueue[JobKey](slowest_retry_s=1)
        cluster.faults["read"] = RuntimeError("a bug")
        control = Control.of(
            cluster=cluster, queue=queue, settings=SETTINGS, keys=Keys.make(), verifier=TokenVerifier({})
        )
        queue.add(KEY)
        async with asyncio.timeout(10):
            worker = asyncio.create_task(control.work())
            while "write" not in cluster.calls:  # noqa: ASYNC110 - each turn lets the worker take its own
                await asyncio.sleep(0.005)
            worker.cancel()
        queue.close()
        return cluster.calls

    with caplog.at_level(logging.ERROR):
        calls = asyncio.run(play())
    assert calls.count("read") >= 2
    assert "reconcile failed" in caplog.text
