"""The order in which a decision is acted upon, and what a fault leaves undone."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import PROTOCOL, AgentState, Report
from everstep_operator.act import Actor
from everstep_operator.cluster import ConflictError, RefusedError, UnreachableError
from everstep_operator.control import Control
from everstep_operator.decide.decision import Decision, DoomedPod, Event
from everstep_operator.decide.facts import Job, JobKey, Pod, Refusal
from everstep_operator.decide.pin import KeyOfConfigMap, Pin
from everstep_operator.observe import Observer
from everstep_operator.queue import WorkQueue
from everstep_operator.reconcile import Reconciler
from everstep_operator.settings import Settings
from everstep_operator.sync.certificates import Keys
from everstep_operator.sync.reports import Reports
from everstep_operator.sync.tokens import TokenVerifier
from tests.builders import a_job

KEY = JobKey("default", "finetune")
PREPARE = "prepare PodDisruptionBudget NetworkPolicy"
SETTINGS = Settings(sync_url="https://here:1")


class FakeCluster:
    """A cluster in memory that notes each call, and fails those that a test says."""

    def __init__(self) -> None:
        self.job: Job | None = Job(
            key=KEY, uid="job-1", generation=1, version="1", spec=a_job().spec, status=TrainingJobStatus()
        )
        self.there: dict[str, Pod] = {}
        self.calls: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.pin: Pin | None = None
        self.text: str | None = None

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.faults:
            raise self.faults.pop(call)

    async def read_job(self, key: JobKey) -> Job | None:
        assert key == KEY
        self._note("read")
        return self.job

    async def profiles(self) -> Mapping[str, Manifest]:
        return {}

    async def read_key(self, job: Job, key: KeyOfConfigMap) -> str | None:
        assert job.uid == "job-1"
        self._note(f"read {key.name}/{key.key}")
        return self.text

    async def read_pin(self, job: Job) -> Pin | None:
        assert job.uid == "job-1"
        return self.pin

    async def prepare(self, job: Job, pin: Pin, belongings: Sequence[Manifest]) -> None:
        assert job.uid == "job-1"
        self._note(" ".join(["prepare", *(belonging["kind"] for belonging in belongings)]))
        self.pin = pin

    def pods(self, job_uid: str) -> tuple[Pod, ...]:
        assert job_uid == "job-1"
        return tuple(self.there.values())

    async def create_pod(self, manifest: Manifest, *, is_rehearsal: bool = False) -> None:
        worker = int(manifest["metadata"]["labels"]["everstep.dev/worker-index"])
        self._note(f"{'rehearse' if is_rehearsal else 'create'} {worker}")
        if not is_rehearsal:
            now = datetime.now(UTC)
            uid = f"pod-{worker}"
            self.there[uid] = Pod(name=uid, uid=uid, worker=worker, phase="Running", created=now, started=now)

    async def delete_pod(self, job: Job, pod: DoomedPod) -> None:
        assert job.uid == "job-1"
        self._note(f"delete {pod.name}")
        self.there[pod.uid] = replace(self.there[pod.uid], is_deleted=True)

    async def write_status(self, job: Job, status: TrainingJobStatus) -> None:
        self._note("write")
        assert self.job is not None
        assert job.version == self.job.version
        self.job = replace(self.job, status=status, version=str(int(job.version) + 1))

    async def delete_job(self, job: Job) -> None:
        assert job.uid == "job-1"
        self._note("delete job")
        self.job = None

    async def record(self, job: Job, event: Event) -> None:
        assert job.uid == "job-1"
        self._note(f"event {event.reason}")


class Told:
    """Notes what was released."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.actions: dict[str, str] = {}
        self.template: str | None = None

    def release(self, job: Job, decision: Decision) -> None:
        assert job.uid == "job-1"
        self._calls.append("release")
        if decision.spec is not None and decision.spec.recipe.model.chat_template is not None:
            self.template = decision.spec.recipe.model.chat_template.inline
        self.actions = {pod: action.kind for pod, action in (decision.directives or {}).items()}

    def close(self, job_uid: str) -> None:
        self._calls.append(f"close {job_uid}")


class Desk:
    """A reconciler before a cluster in memory."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.told = Told(self.cluster.calls)
        self.reports = Reports(per_s=1000)
        refusals: dict[str, Refusal] = {}
        self.reconciler = Reconciler(
            cluster=self.cluster,
            observer=Observer(cluster=self.cluster, agents=self.reports, settings=SETTINGS, refusals=refusals),
            actor=Actor(cluster=self.cluster, settings=SETTINGS, refusals=refusals),
            directives=self.told,
        )

    def look(self) -> tuple[list[str], float | None]:
        """Reconcile; return the calls without the events, and when to look again."""
        self.cluster.calls.clear()
        again_s = asyncio.run(self.reconciler.reconcile(KEY))
        return [call for call in self.cluster.calls if not call.startswith("event")], again_s

    def all_ready(self) -> None:
        for pod in self.cluster.there.values():
            report = Report(
                protocol=PROTOCOL,
                boot_id="b",
                worker=pod.worker,
                address=f"10.0.0.{pod.worker}:8470",
                node="n",
                state=AgentState.READY,
                ranks=1,
            )
            self.reports.hear("job-1", pod.uid, report)


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
    assert desk.look() == (["read"], None)


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
