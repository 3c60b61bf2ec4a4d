"""A cluster in memory, and a reconciler before it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from everstep_api.conditions import ConditionType
from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import PROTOCOL, AgentState, Report
from everstep_operator.act import Actor
from everstep_operator.cluster import ConflictError
from everstep_operator.decide.decision import Decision, DoomedPod, Event
from everstep_operator.decide.facts import Job, JobKey, Pod, Refusal
from everstep_operator.decide.pin import KeyOfConfigMap, Pin
from everstep_operator.observe import Observer
from everstep_operator.reconcile import Reconciler
from everstep_operator.settings import Settings
from everstep_operator.sync.reports import Reports
from tests.builders import a_job

KEY = JobKey("default", "finetune")
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
        assert job.key == KEY
        self._note(f"read {key.name}/{key.key}")
        return self.text

    async def read_pin(self, job: Job) -> Pin | None:
        assert job.key == KEY
        return self.pin

    async def prepare(self, job: Job, pin: Pin, belongings: Sequence[Manifest]) -> None:
        assert job.key == KEY
        self._note(" ".join(["prepare", *(belonging["kind"] for belonging in belongings)]))
        self.pin = pin

    async def remove(self, job: Job, belonging: Manifest) -> None:
        assert job.key == KEY
        self._note(f"remove {belonging['kind']}")

    def pods(self, job_uid: str) -> tuple[Pod, ...]:
        assert self.job is not None
        assert job_uid == self.job.uid
        return tuple(self.there.values())

    async def create_pod(self, manifest: Manifest, *, is_rehearsal: bool = False) -> None:
        name = manifest["metadata"]["name"]
        worker = int(manifest["metadata"]["labels"]["everstep.dev/worker-index"])
        self._note(f"{'rehearse' if is_rehearsal else 'create'} {worker}")
        if not is_rehearsal and name not in self.there:
            now = datetime.now(UTC)
            self.there[name] = Pod(
                name=name, uid=name, worker=worker, phase="Running", created=now, node="node1", started=now
            )

    async def delete_pod(self, job: Job, pod: DoomedPod) -> None:
        assert job.key == KEY
        self._note(f"delete {pod.name}")
        self.there[pod.uid] = replace(self.there[pod.uid], is_deleted=True)

    async def write_status(self, job: Job, status: TrainingJobStatus) -> None:
        self._note("write")
        assert self.job is not None
        if job.version != self.job.version:
            raise ConflictError(f"version {job.version} was read, and {self.job.version} is there")
        self.job = replace(self.job, status=status, version=str(int(job.version) + 1))

    async def delete_job(self, job: Job) -> None:
        assert job.key == KEY
        self._note("delete job")
        self.job = None

    async def record(self, job: Job, event: Event) -> None:
        assert job.key == KEY
        self._note(f"event {event.reason}")


class Told:
    """Notes what was released."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.actions: dict[str, str] = {}
        self.template: str | None = None

    def release(self, job: Job, decision: Decision) -> None:
        assert job.key == KEY
        self._calls.append("release")
        if decision.spec is not None and decision.spec.recipe.model.chat_template is not None:
            self.template = decision.spec.recipe.model.chat_template.inline
        self.actions = {pod: action.kind for pod, action in (decision.directives or {}).items()}

    def close(self, job_uid: str) -> None:
        self._calls.append(f"close {job_uid}")


class Shown:
    """Notes what became of jobs."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def follow(self, key: JobKey, old: TrainingJobStatus, new: TrainingJobStatus) -> None:
        assert key == KEY
        self.calls.append(f"follow {old.phase} {new.phase}")

    def forget(self, key: JobKey) -> None:
        assert key == KEY
        self.calls.append("forget")


class Desk:
    """A reconciler before a cluster in memory."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.cluster = FakeCluster()
        self.told = Told(self.cluster.calls)
        self.shown = Shown()
        self.reports = Reports(per_s=1000)
        self.refusals: dict[str, Refusal] = {}
        self.reconciler = Reconciler(
            cluster=self.cluster,
            observer=Observer(cluster=self.cluster, agents=self.reports, settings=settings, refusals=self.refusals),
            actor=Actor(cluster=self.cluster, settings=settings, refusals=self.refusals),
            directives=self.told,
            followers=[self.shown],
        )

    def look(self) -> tuple[list[str], float | None]:
        """Reconcile; return the calls without the events, and when to look again."""
        self.cluster.calls.clear()
        again_s = asyncio.run(self.reconciler.reconcile(KEY))
        return [call for call in self.cluster.calls if not call.startswith("event")], again_s

    def accepted(self) -> tuple[str, str]:
        """Status and reason of the condition."""
        assert self.cluster.job is not None
        [found] = [item for item in self.cluster.job.status.conditions if item.type == ConditionType.ACCEPTED]
        return found.status, found.reason

    def refuses(self, sentence: str) -> None:
        """Let the cluster have refused something so long ago that it is tried again."""
        assert self.cluster.job is not None
        now, generation = datetime.now(UTC), self.cluster.job.generation
        self.refusals["job-1"] = Refusal(sentence=sentence, generation=generation, retry_at=now)

    def passes_the_refusal(self) -> None:
        """Let the time be over after which a refused pod is tried again."""
        self.refuses(self.refusals["job-1"].sentence)

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
