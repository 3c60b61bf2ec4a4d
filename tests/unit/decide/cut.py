"""The life of one job before operators that are cut off: from its first pod by a loss and a smaller size to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from inspect import iscoroutinefunction
from typing import Any, cast

from everstep_api.wire.sync import (
    PROTOCOL,
    Action,
    AgentState,
    Failure,
    FailureCause,
    Finish,
    Pause,
    Phase,
    Progress,
    Report,
    Run,
    Stop,
    Wait,
)
from everstep_operator.act import Actor
from everstep_operator.cluster import Cluster
from everstep_operator.decide.decision import Decision
from everstep_operator.decide.facts import Job
from everstep_operator.observe import Observer
from everstep_operator.reconcile import Reconciler
from everstep_operator.sync.reports import Reports
from tests.builders import a_job
from tests.unit.decide.fake_cluster import KEY, SETTINGS, FakeCluster

_TURNS = 60
_JOB_UID = "job-1"


class Knife:
    """Passes calls on to a cluster, and cuts the reconcile off before or after one of them."""

    def __init__(self, cluster: FakeCluster, *, at: int) -> None:
        self._cluster = cluster
        self._at = at
        self.points: list[str] = []
        self.reconcile: asyncio.Task[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cluster, name)
        if not iscoroutinefunction(method):
            return method

        async def call(*values: Any, **named: Any) -> Any:
            await self._point(f"before {name}")
            result = await cast("Callable[..., Awaitable[Any]]", method)(*values, **named)
            await self._point(f"after {name}")
            return result

        return call

    async def _point(self, place: str) -> None:
        self.points.append(place)
        if len(self.points) == self._at:
            assert self.reconcile is not None
            self.reconcile.cancel()
        await asyncio.sleep(0)


@dataclass(kw_only=True)
class Agent:
    """An agent of which only the state is left."""

    worker: int
    state: AgentState = AgentState.READY
    world: int | None = None
    failure: Failure | None = None
    has_exited: bool = False

    def hear(self, action: Action | None) -> None:
        match action:
            case Run(world=world) if world > (self.world or 0):
                self.state, self.world, self.failure = AgentState.TRAINING, world, None
            case Pause(world=world) if world == self.world and self.state is AgentState.TRAINING:
                self.state = AgentState.READY
            case Wait() if self.state is AgentState.TRAINING:
                self.state = AgentState.READY
            case Finish() | Stop():
                self.has_exited = True
            case _:
                pass

    @property
    def report(self) -> Report:
        is_inside = self.state is not AgentState.READY
        return Report(
            protocol=PROTOCOL,
            boot_id="boot",
            worker=self.worker,
            address=f"10.0.0.{self.worker}:8470",
            node="node1",
            state=self.state,
            ranks=1,
            world=self.world,
            phase=Phase.TRAIN if is_inside else None,
            progress=Progress(step=10 * (self.world or 0), total_steps=30) if is_inside else None,
            failure=self.failure,
            output="s3://team/model" if self.state is AgentState.DONE else None,
        )


class Told:
    """What one operator has told the agents."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def release(self, job: Job, decision: Decision) -> None:
        assert job.uid == _JOB_UID
        self.actions = dict(decision.directives or self.actions)

    def close(self, job_uid: str) -> None:
        raise AssertionError(job_uid)


class Life:
    """The job, its agents, and the operators that come one after the other."""

    def __init__(self, *, cut_at: int = 0) -> None:
        self.cluster = FakeCluster()
        self.knife = Knife(self.cluster, at=cut_at)
        self.agents: dict[str, Agent] = {}
        self.pods_made: set[str] = set()
        self.worlds: list[int] = []
        self.has_failed = False
        self._begin()

    def _begin(self) -> None:
        """Let an operator begin that knows nothing but what the cluster has."""
        self.told, self.reports = Told(), Reports(per_s=1000)
        cluster = cast("Cluster", self.knife)
        observer = Observer(cluster=cluster, agents=self.reports, settings=SETTINGS, refusals={})
        actor = Actor(cluster=cluster, settings=SETTINGS, refusals={})
        self.reconciler = Reconciler(cluster=cluster, observer=observer, actor=actor, directives=self.told)

    async def to_its_end(self) -> None:
        """Let it live until the job has ended and no pod runs any more."""
        for _ in range(_TURNS):
            self._live()
            self._happen()
            self.knife.reconcile = asyncio.create_task(self.reconciler.reconcile(KEY))
            await asyncio.wait([self.knife.reconcile])
            if self.knife.reconcile.cancelled():
                self._begin()
            else:
                self.knife.reconcile.result()
            self._note()
            if self.job.status.endings and not any(pod.is_live for pod in self.cluster.there.values()):
                return
        raise AssertionError(f"no end within {_TURNS} looks: {self.job.status}")

    @property
    def job(self) -> Job:
        assert self.cluster.job is not None
        return self.cluster.job

    def _live(self) -> None:
        """Agents hear what they are told, and report."""
        for uid, pod in list(self.cluster.there.items()):
            agent = self.agents.setdefault(uid, Agent(worker=pod.worker))
            agent.hear(self.told.actions.get(uid))
            if pod.is_deleted:
                del self.cluster.there[uid]
            elif agent.has_exited:
                self.cluster.there[uid] = replace(pod, phase="Succeeded", started=None)
            else:
                self.reports.hear(_JOB_UID, uid, agent.report)

    def _happen(self) -> None:
        """A rank of the first world is killed, the second is one worker too large, and the third brings the end."""
        world = self.job.status.world
        if world is None or world.end_time is not None:
            return
        members = [self.agents[member.pod_uid] for member in world.members]
        if any(agent.world != world.number or agent.state is not AgentState.TRAINING for agent in members):
            return
        match world.number:
            case 1 if not self.has_failed:
                self.has_failed = True
                members[1].failure = Failure(world=1, cause=FailureCause.RANK_KILLED, rank=1, signal=9)
            case 2 if self.job.generation == 1:
                spec = a_job().workers(1).spec
                version = str(int(self.job.version) + 1)
                self.cluster.job = replace(self.job, spec=spec, generation=2, version=version)
            case 3:
                for agent in members:
                    agent.state = AgentState.DONE
            case _:
                pass

    def _note(self) -> None:
        live = [pod for pod in self.cluster.there.values() if pod.is_live]
        assert len({pod.worker for pod in live}) == len(live), "two live pods are the same worker"
        self.pods_made |= set(self.cluster.there)
        world = self.job.status.world
        if world is not None and world.number not in self.worlds:
            self.worlds.append(world.number)
