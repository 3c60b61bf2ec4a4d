"""A simulated cluster for random faults: real decisions and the real agents' state machine, but ranks of a few lines.

Ranks step as long as all of their world are there; when one is gone, the others find that out or hang for a while.
"""

import random
from dataclasses import dataclass, field, replace

from everstep_agent import report, state
from everstep_agent.events import Ended, EndRanks, EnterWorld, Event, Exit, Heard, Said, SparesCounted, StopRanks
from everstep_agent.lastwords import Ending as RankEnding
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.ranks import Done, FromRank, Left, Raised, Saved, Stepped, StoreOpened
from everstep_api.wire.sync import Action, Directive, Resumed, Run, StatePoint
from everstep_operator.decide import decide
from everstep_operator.decide.facts import Ending, Limits, Obstacle
from tests.builders import JobBuilder
from tests.unit.decide.play import JOB_UID, Play

TICK_S = 0.1
_STARTS_S = 0.4
"""From a pod's creation to its agent, and from the end of a container to the next one."""
_WARMS_S = 1.0
_GIVES_UP_S = 30.0
"""Five minutes in a real cluster, which then marks the pods and never sees them gone."""
_TOTAL_STEPS = 400
_SAVE_EVERY = 5
_PEER_LOST = Raised(exception="builtins.RuntimeError", message="[gloo/transport/tcp/pair.cc] closed", traceback="")


@dataclass(kw_only=True)
class SimWorld:
    """What the ranks of one world share."""

    run: Run
    step: int
    inside: set[str] = field(default_factory=set)
    """uids of the pods whose rank is in it."""
    is_broken: bool = False
    is_to_stop: bool = False

    @property
    def is_whole(self) -> bool:
        return not self.is_broken and self.inside == {member.pod_uid for member in self.run.members}


@dataclass(kw_only=True)
class SimAgent:
    """One process of an agent."""

    worker: state.Worker
    identity: report.Identity
    warm_at: float
    heard: Action | None = None
    reported: float = float("-inf")
    said: object = None


class Simulation(Play):
    """Plays a job in ticks; time passes in `tick` alone."""

    def __init__(self, job: JobBuilder, seed: int, *, limits: Limits | None = None) -> None:
        super().__init__(job, limits=limits or Limits())
        self.chance = random.Random(seed)  # noqa: S311 - the same faults each time
        self.time = 0.0
        self.sims: dict[str, SimAgent] = {}
        self.starts: dict[str, float] = {}
        self.known: dict[str, int] = {}
        self.worlds: dict[int, SimWorld] = {}
        self.ghosts: dict[str, float] = {}
        """Pods of nodes that are gone, and when the cluster gives each of them up."""
        self.durable: list[StatePoint] = []
        self.steps_done: list[tuple[int, int]] = []
        """(world, step) of each step that was made."""

    def tick(self) -> None:
        """Let a tenth of a second pass."""
        self.time += TICK_S
        self.passing(TICK_S)
        self._start_pods()
        for uid in list(self.sims):
            self._warm(uid)
            self._listen(uid)
        for world in list(self.worlds.values()):
            self._step(world)
        for uid in list(self.sims):
            self._report(uid)
        before = self.status
        self.look()
        self._check(before, self.status)

    def crash_in_the_middle(self) -> None:
        """An operator acts on pods and dies before it writes the status; the next one has heard nobody yet."""
        status, told, pods = self.status, self.told, set(self.pods)
        self.look()
        self.status, self.told = status, {uid: action for uid, action in told.items() if uid in pods}
        self.reports.forget(JOB_UID)
        self.leading_since = self.now

    def conflict(self) -> None:
        """Somebody else has written the job in the middle of a look: pods are acted upon, and nothing else is done."""
        status, told, pods = self.status, self.told, set(self.pods)
        self.look()
        self.status, self.told = status, {uid: action for uid, action in told.items() if uid in pods}

    def restart_operator(self) -> None:
        """Another operator leads, and has heard nobody yet."""
        self.reports.forget(JOB_UID)
        self.leading_since = self.now

    def evict_pod(self) -> None:
        """A node that is low on memory ends some pod."""
        running = sorted(uid for uid in self.sims if self.pods[uid].phase == "Running")
        if running:
            uid = self.chance.choice(running)
            self._remove_agent(uid)
            self.pods[uid] = replace(self.pods[uid], phase="Failed", started=None, obstacle=Obstacle(reason="Evicted"))

    def lose_node(self) -> None:
        """A node is gone: its pod says nothing any more and looks as it did, until the cluster gives it up."""
        if self.sims:
            uid = self.chance.choice(sorted(self.sims))
            self._remove_agent(uid)
            self.ghosts[uid] = self.time + _GIVES_UP_S

    def kill_rank(self) -> None:
        """kill -9 of the rank of some member."""
        inside = sorted((world.run.world, uid) for world in self.worlds.values() for uid in world.inside)
        if inside:
            number, uid = self.chance.choice(inside)
            self._lose(self.worlds[number], uid)
            self._happen(uid, Ended(world=number, slot=0, ending=RankEnding(signal=9)))

    def kill_agent(self) -> None:
        """kill -9 of some process 1: its container is started again, in the same pod."""
        if self.sims:
            self._end_container(self.chance.choice(sorted(self.sims)), code=137)

    def vanish_pod(self) -> None:
        """Some pod is gone, with its node."""
        if self.pods:
            uid = self.chance.choice(sorted(self.pods))
            self._remove_agent(uid)
            del self.pods[uid]

    def rescale(self, job: JobBuilder) -> None:
        """Somebody applies another spec."""
        self.change(job)

    # -- pods and agents

    def _start_pods(self) -> None:
        for uid, pod in list(self.pods.items()):
            if uid in self.ghosts:
                if self.time >= self.ghosts[uid]:
                    self.pods[uid] = replace(pod, is_deleted=True)
            elif pod.is_deleted and uid not in self.sims:
                del self.pods[uid]  # it has ended, or never began
            elif pod.is_live and pod.started is None:
                due = self.starts.setdefault(uid, self.time + _STARTS_S)
                if self.time >= due:
                    self._boot(uid)
            elif pod.is_deleted and uid in self.sims and self.chance.random() < 0.2:
                self._remove_agent(uid)

    def _boot(self, uid: str) -> None:
        pod = self.pods[uid]
        self.starts.pop(uid, None)
        self.pods[uid] = replace(pod, phase="Running", started=self.now, node="node")
        boot = f"{self.time:.1f}"
        self.sims[uid] = SimAgent(
            worker=state.Worker(pod_uid=uid, host="10.0.0.1", devices=0, newest_world=self.known.get(uid, 0)),
            identity=report.Identity(boot_id=boot, worker=pod.worker, node="node", address="10.0.0.1:8470"),
            warm_at=self.time + _WARMS_S,
        )

    def _end_container(self, uid: str, *, code: int) -> None:
        self._remove_agent(uid)
        pod = self.pods[uid]
        if code == 0:
            self.pods[uid] = replace(pod, phase="Succeeded", started=None)
        else:
            ending = Ending(exit_code=code, reason="Error")
            self.pods[uid] = replace(pod, started=None, restarts=pod.restarts + 1, last_ending=ending)

    def _remove_agent(self, uid: str) -> None:
        if self.sims.pop(uid, None) is not None:
            for world in self.worlds.values():
                self._lose(world, uid)

    def _warm(self, uid: str) -> None:
        sim = self.sims[uid]
        wanted = sim.worker.spares
        has = len(sim.worker.warm) >= wanted
        if wanted and not has and self.time >= sim.warm_at:
            self._happen(uid, SparesCounted(warm=frozenset(range(wanted)), failures=0))

    def _listen(self, uid: str) -> None:
        sim, action = self.sims.get(uid), self.told.get(uid)
        if sim is not None and action is not None and action != sim.heard:
            sim.heard = action
            spec = {"workers": {"processesPerWorker": 1}}
            self._happen(uid, Heard(directive=Directive(digest="", action=action, spec=spec)))

    def _report(self, uid: str) -> None:
        sim = self.sims.get(uid)
        if sim is None or uid not in self.pods:
            return
        told = report.write(sim.worker, sim.identity)
        if told != sim.said or self.time - sim.reported >= 1:
            sim.said, sim.reported = told, self.time
            self.reports.hear(JOB_UID, uid, told)

    def _happen(self, uid: str, event: Event) -> None:
        sim = self.sims[uid]
        sim.worker, orders = state.advance(sim.worker, event)
        self.known[uid] = max(self.known.get(uid, 0), sim.worker.newest_world)
        for order in orders:
            match order:
                case EnterWorld(run=run):
                    sim.warm_at = self.time + _WARMS_S
                    self._enter(uid, run)
                case EndRanks():
                    for world in self.worlds.values():
                        self._lose(world, uid)
                case StopRanks():
                    for world in self.worlds.values():
                        world.is_to_stop |= uid in world.inside
                case Exit(code=code):
                    self._end_container(uid, code=code)
                case _:
                    pass
        if uid in self.sims and sim.worker.spares > len(sim.worker.warm) and sim.warm_at <= self.time:
            sim.warm_at = self.time + _WARMS_S

    # -- worlds

    def _enter(self, uid: str, run: Run) -> None:
        newest = max((point.step for point in self.durable), default=0)
        world = self.worlds.setdefault(run.world, SimWorld(run=run, step=newest))
        world.inside.add(uid)
        resume = Resumed(world=1, step=world.step, tier="Durable") if world.step else None
        self._say(uid, run.world, StoreOpened(port=1, resume=resume))

    def _lose(self, world: SimWorld, uid: str) -> None:
        if uid in world.inside:
            world.inside.discard(uid)
            world.is_broken = True

    def _step(self, world: SimWorld) -> None:
        number = world.run.world
        if world.is_broken:
            for uid in sorted(world.inside):
                if self.chance.random() < 0.3:
                    self._lose(world, uid)
                    self._say(uid, number, _PEER_LOST)
                    self._happen(uid, Ended(world=number, slot=0, ending=RankEnding(exit_code=1)))
            return
        if not world.is_whole:
            return
        world.step += 1
        self.steps_done.append((number, world.step))
        is_last, stops = world.step >= _TOTAL_STEPS, world.is_to_stop
        if is_last or stops or world.step % _SAVE_EVERY == 0:
            self.durable.append(StatePoint(world=number, step=world.step))
        for uid in sorted(world.inside):
            self._say(uid, number, Stepped(step=world.step, seconds=0.1, loss=1.0, tokens=10))
            if self.durable and self.durable[-1].step == world.step:
                saved = Saved(
                    point=self.durable[-1], uri="s3://x", commit_time="2026-01-01T00:00:00Z", seconds=0.1, size_bytes=1
                )
                self._say(uid, number, saved)
        if is_last or stops:
            for uid in sorted(world.inside):
                world.inside.discard(uid)
                self._say(uid, number, Done(output="s3://x/model") if is_last else Left(step=world.step))

    def _say(self, uid: str, number: int, message: FromRank) -> None:
        self._happen(uid, Said(world=number, slot=0, message=message))

    # -- what must always be so

    def _check(self, old: TrainingJobStatus, new: TrainingJobStatus) -> None:
        if old.world is not None:
            assert new.world is not None
            assert new.world.number >= old.world.number
            if new.world.number == old.world.number:
                assert new.world.members == old.world.members
        if old.endings:
            assert new.endings == old.endings
            assert not decide(self.observation).create
        stepping = [world for world in self.worlds.values() if world.is_whole and world.inside]
        assert len(stepping) <= 1, "two worlds advance at the same time"
        live = [pod for pod in self.pods.values() if pod.is_live]
        assert len({pod.worker for pod in live}) == len(live), "two live pods are the same worker"
