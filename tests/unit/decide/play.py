"""A stage for decisions: pods and agents that do what a test says, and a status that is kept from look to look."""

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from everstep_api.conditions import ConditionType, Reason
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.sync import PROTOCOL, Action, AgentState, Failure, FailureCause, Phase, Progress, Report
from everstep_operator.decide import decide
from everstep_operator.decide.decision import Decision
from everstep_operator.decide.facts import Agent, Ending, Job, JobKey, Limits, Observation, Pod, PodPhase, Refusal
from everstep_operator.decide.pin import Pin
from everstep_operator.sync.reports import Reports
from tests.builders import JobBuilder

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
JOB_UID = "0b5c1d1e-0000-4000-8000-000000000001"


class Play:
    """One job, its pods by worker, and the time."""

    def __init__(self, job: JobBuilder, *, limits: Limits | None = None) -> None:
        self.spec = job.spec
        self.generation = 1
        self.status = TrainingJobStatus()
        self.now = BEGIN
        self.limits = limits or Limits()
        self.pods: dict[str, Pod] = {}
        self.told: dict[str, Action] = {}
        self.refusal: Refusal | None = None
        self.profiles: dict[str, dict[str, Any]] = {}
        self.image = "everstep/trainer:1"
        self.chat_template: str | None = None
        self.pin: Pin | None = None
        self.reports = Reports(per_s=1000, now=lambda: self.now)
        self.leading_since = BEGIN
        self._numbers = itertools.count(100)

    # -- what happens

    def passing(self, seconds: float) -> "Play":
        """Let time pass; agents that live report again."""
        self.now += timedelta(seconds=seconds)
        return self

    def heartbeat(self, *workers: int) -> "Play":
        """Let these workers, or all, say again what they said last."""
        for pod in self._live():
            agent = self.agents.get(pod.uid)
            if agent is not None and (not workers or pod.worker in workers):
                self.reports.hear(JOB_UID, pod.uid, agent.report)
        return self

    def change(self, job: JobBuilder) -> "Play":
        """Apply another spec."""
        self.spec = job.spec
        self.generation += 1
        return self

    def pod(self, worker: int, **facts: Any) -> "Play":
        """Change what is true of the worker's newest pod."""
        uid = self.uid(worker)
        self.pods[uid] = replace(self.pods[uid], **facts)
        return self

    def all_pods_run(self) -> "Play":
        """Let each pending pod run."""
        for uid, pod in self.pods.items():
            if pod.phase == "Pending":
                self.pods[uid] = replace(pod, phase="Running", node=f"node{pod.worker}", started=self.now)
        return self

    def vanish(self, worker: int) -> "Play":
        """Let the worker's newest pod be gone, with no trace."""
        del self.pods[self.uid(worker)]
        return self

    def ends(self, worker: int, phase: PodPhase, *, ending: Ending | None = None) -> "Play":
        """Let the worker's pod end."""
        return self.pod(worker, phase=phase, started=None, last_ending=ending)

    def reports_as(self, worker: int, state: AgentState, *, boot: str = "first", **said: Any) -> "Play":
        """Let the worker's agent report."""
        report = Report(
            protocol=PROTOCOL,
            boot_id=boot,
            worker=worker,
            address=f"10.0.0.{worker}:8470",
            node=f"node{worker}",
            state=state,
            ranks=said.pop("ranks", 1),
            **said,
        )
        self.reports.hear(JOB_UID, self.uid(worker), report)
        return self

    def all_report(self, state: AgentState, **said: Any) -> "Play":
        """Let every live worker's agent report the same."""
        for pod in self._live():
            self.reports_as(pod.worker, state, **said)
        return self

    def fails(self, *, code: int = 1, exception: str = "ValueError") -> Decision:
        """Let rank 1 of the present world end with this code, and look."""
        cause = FailureCause.RANK_EXITED
        failure = Failure(
            world=self.world or 0, cause=cause, rank=1, exit_code=code, exception=exception, message="no."
        )
        return self.reports_as(1, AgentState.TRAINING, world=self.world, failure=failure).look()

    # -- what is decided

    @property
    def agents(self) -> dict[str, Agent]:
        return dict(self.reports.of(JOB_UID))

    @property
    def observation(self) -> Observation:
        job = Job(
            key=JobKey("default", "finetune"),
            uid=JOB_UID,
            generation=self.generation,
            version="1",
            spec=self.spec,
            status=self.status,
        )
        return Observation(
            now=self.now,
            leading_since=self.leading_since,
            job=job,
            profiles=self.profiles,
            image=self.image,
            chat_template=self.chat_template,
            pin=self.pin,
            pods=tuple(self.pods.values()),
            agents={uid: agent for uid, agent in self.agents.items() if uid in self.pods},
            refusal=self.refusal,
            limits=self.limits,
        )

    def look(self) -> Decision:
        """Decide, and do it: pods are made and marked, the status is kept, directives are heard."""
        decision = decide(self.observation)
        for doomed in decision.delete:
            self.pods[doomed.uid] = replace(self.pods[doomed.uid], is_deleted=True)
        if decision.create or decision.prepares:
            self.pin = decision.pin
        for new in decision.create:
            self.now += timedelta(milliseconds=1)
            uid = str(uuid.UUID(int=next(self._numbers)))
            self.pods[uid] = Pod(name=f"pod-{uid[-4:]}", uid=uid, worker=new.worker, phase="Pending", created=self.now)
        self.status = TrainingJobStatus.model_validate_json(decision.status.model_dump_json(by_alias=True))
        assert self.status == decision.status, "a status comes back from the cluster as it was written"
        if decision.directives is not None:
            self.told = dict(decision.directives)
        return decision

    # -- scenes from which tests begin

    def warm(self) -> "Play":
        """All pods run, and all agents are ready."""
        self.look()
        self.all_pods_run()
        self.all_report(AgentState.READY)
        return self

    def training(self, step: int = 7) -> "Play":
        """A world of all workers makes steps."""
        self.warm()
        self.look()
        return self.steps(step)

    def steps(self, step: int) -> "Play":
        """Every member has entered the present world and made this step."""
        progress = Progress(step=step, total_steps=100, loss=1.5, tokens_per_second=1000.0, step_seconds=0.5)
        for worker in self.members:
            self.reports_as(worker, AgentState.TRAINING, world=self.world, phase=Phase.TRAIN, progress=progress)
        self.look()
        return self

    # -- what is true then

    def uid(self, worker: int) -> str:
        """uid of the worker's newest pod."""
        mine = [pod for pod in self.pods.values() if pod.worker == worker]
        return max(mine, key=lambda pod: pod.created).uid

    @property
    def world(self) -> int | None:
        return self.status.world.number if self.status.world else None

    @property
    def members(self) -> list[int]:
        return [member.worker for member in self.status.world.members] if self.status.world else []

    def said(self, kind: ConditionType) -> tuple[str, Reason, str]:
        """Status, reason and sentence of a condition."""
        found = next(condition for condition in self.status.conditions if condition.type == kind)
        return found.status, Reason(found.reason), found.message

    def actions(self) -> dict[int, str]:
        """What each live worker was told last, by the action's kind."""
        return {pod.worker: self.told[pod.uid].kind for pod in self._live() if pod.uid in self.told}

    def _live(self) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.is_live]
