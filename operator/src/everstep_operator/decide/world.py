"""The world: when it pauses, when the next one starts, with whom, and what each agent is told.

A world goes on until a member is lost, or until it is wanted in another shape and has paused for it. The next one
starts from the agents that are warm. It exists once the status write that contains it has succeeded; what is planned
here is released only then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from everstep_api.job import TrainingJobSpec
from everstep_api.status import Member, World
from everstep_api.wire import sync
from everstep_operator.decide.facts import Agent, Observation, Pod
from everstep_operator.decide.failures import Loss
from everstep_operator.decide.members import LOST, Standing, Standings
from everstep_operator.decide.memory import outlives_in_memory
from everstep_operator.decide.pods import PodPlan

FRESH_S = 3.0
"""A new world takes only agents heard in the last seconds; they report each second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldPlan:
    """What becomes of the world."""

    world: World | None
    """The world of the next status: the present one, or one more."""
    is_new: bool = False
    is_pausing: bool = False
    is_over: bool = False
    """Whether the present world is over and the next one cannot start yet."""
    directives: Mapping[str, sync.Action]


def plan_world(
    seen: Observation, spec: TrainingJobSpec, pods: PodPlan, standings: Standings | None, loss: Loss | None
) -> WorldPlan:
    """Go on with the present world, pause it, or start the next one."""
    if standings is not None and not _is_over(standings, loss):
        world = standings.world
        if not _is_to_pause(seen, spec, pods, standings):
            return WorldPlan(world=world, directives=_told(seen, world, _run(seen, world)))
        # A world that not all have entered made no step, and nobody who has not entered does so for a pause.
        if not standings.has(Standing.COMING):
            is_safe = not spec.suspend and outlives_in_memory(seen, spec, pods, world)
            pause = sync.Pause(world=world.number, durable=not is_safe)
            pausing = world if world.pause_time is not None else world.model_copy(update={"pause_time": seen.now})
            return WorldPlan(world=pausing, is_pausing=True, directives=_told(seen, world, pause))
    entrants = [] if spec.suspend else _entrants(seen, pods)[: most_members(seen, spec)]
    if not _can_start(seen, spec, pods, standings, entrants):
        over = _ended(standings.world, seen.now) if standings else None
        return WorldPlan(world=over, is_over=standings is not None, directives=_told(seen, None, sync.Wait()))
    following = World(
        number=_next_number(seen),
        size=len(entrants),
        wanted=spec.workers.replicas,
        start_time=seen.now,
        members=tuple(Member(worker=pod.worker, pod_uid=pod.uid) for pod in entrants),
    )
    return WorldPlan(world=following, is_new=True, directives=_told(seen, following, _run(seen, following)))


def most_members(seen: Observation, spec: TrainingJobSpec) -> int:
    """The workers that a world can use: `replicas`, or fewer if a step has fewer micro-batches than they have ranks."""
    known = [agent.report.most_ranks for agent in seen.agents.values() if agent.report.most_ranks is not None]
    if not known:
        return spec.workers.replicas
    return max(1, min(spec.workers.replicas, min(known) // _ranks_per_worker(seen, list(seen.agents))))


def fewest_members(spec: TrainingJobSpec) -> int:
    """The workers without which there is no world."""
    return spec.workers.min_replicas or spec.workers.replicas


def _is_over(standings: Standings, loss: Loss | None) -> bool:
    return loss is not None or standings.world.end_time is not None or standings.are_all(Standing.LEFT)


def _ended(world: World, now: datetime) -> World:
    return world if world.end_time is not None else world.model_copy(update={"end_time": now})


def _is_to_pause(seen: Observation, spec: TrainingJobSpec, pods: PodPlan, standings: Standings) -> bool:
    if standings.has(Standing.LEFT):
        return True  # begun, and a world that some have left cannot go on
    if standings.has(Standing.DONE):
        return False
    if standings.world.pause_time is not None:
        return True  # asked for before: some may have heard it
    members = set(standings.by_uid)
    wanted = {pod.uid for pod in pods.wanted}
    is_leaving = any(
        agent.report.state is sync.AgentState.STOPPING for uid, agent in seen.agents.items() if uid in members
    )
    if spec.suspend or not members <= wanted or is_leaving:
        return True
    return _is_to_grow(seen, spec, pods, standings.world)


def _is_to_grow(seen: Observation, spec: TrainingJobSpec, pods: PodPlan, world: World) -> bool:
    """Whether warm workers wait for whom the world is to pause: at once if the spec asks for more than it did then.

    Who asks for three more shall not pay three pauses, so those that come within `patience` of one another share one.
    """
    entrants = _entrants(seen, pods)
    most = most_members(seen, spec)
    if min(len(entrants), most) <= world.size:
        return False
    if seen.now - world.start_time >= seen.limits.growth_every:
        return True
    if world.wanted is None or spec.workers.replicas <= world.wanted:
        return False
    newest = max(seen.agents[pod.uid].state_since for pod in entrants)
    return len(entrants) >= most or seen.now - newest >= seen.limits.patience


def _entrants(seen: Observation, pods: PodPlan) -> list[Pod]:
    """The wanted pods whose agents can enter a world at once, by worker."""
    return [pod for pod in pods.wanted if _is_warm(pod, seen.agents.get(pod.uid), seen.now)]


def _is_warm(pod: Pod, agent: Agent | None, now: datetime) -> bool:
    if agent is None or pod.started is None or agent.heard < pod.started:
        return False  # what was heard of it was another process
    return agent.can_enter and (now - agent.heard).total_seconds() < FRESH_S


def _can_start(
    seen: Observation, spec: TrainingJobSpec, pods: PodPlan, standings: Standings | None, entrants: list[Pod]
) -> bool:
    if len(entrants) >= most_members(seen, spec):
        return not spec.suspend
    if len(entrants) < fewest_members(spec):
        return False
    warm = {pod.uid for pod in entrants}
    members = standings.by_uid if standings is not None else {}
    survivors = {pod.uid for pod in pods.wanted if pod.uid in members and members[pod.uid] not in LOST}
    if survivors and survivors <= warm:
        return True  # a running job shrinks at once, and grows later
    newest = max(seen.agents[uid].state_since for uid in warm | survivors if uid in seen.agents)
    return seen.now - newest >= seen.limits.patience


def _next_number(seen: Observation) -> int:
    """One more than the present world, and than any that a rank found in the storage."""
    world = seen.job.status.world
    failures = [agent.report.failure for agent in seen.agents.values()]
    found = [failure.world_seen for failure in failures if failure is not None and failure.world_seen is not None]
    return max([world.number if world else 0, *found]) + 1


def _run(seen: Observation, world: World) -> sync.Run | None:
    """The directive that puts agents into this world; None while the address of a member is not known.

    Its secret is added where it is released, so that no decision ever holds one.
    """
    known = {uid: _member(uid, agent) for uid, agent in sorted(seen.agents.items())}
    uids = [member.pod_uid for member in world.members]
    if not known.keys() >= set(uids):
        return None
    return sync.Run(
        world=world.number,
        members=tuple(known[uid] for uid in uids),
        ranks_per_worker=_ranks_per_worker(seen, uids),
        secret="",
        holders=tuple(known[pod.uid] for pod in seen.pods if pod.is_live and pod.uid in known),
    )


def _member(uid: str, agent: Agent) -> sync.Member:
    report = agent.report
    return sync.Member(worker=report.worker, pod_uid=uid, address=report.address, node=report.node)


def _ranks_per_worker(seen: Observation, uids: list[str]) -> int:
    """The ranks of each worker: those that every one of them can run."""
    return max(1, min((seen.agents[uid].report.ranks for uid in uids if uid in seen.agents), default=1))


def _told(seen: Observation, world: World | None, action: sync.Action | None) -> dict[str, sync.Action]:
    """The action for the members of the world, and `wait` for everybody else. Who hears nothing goes on as he is.

    Who waits beside a world may hold snapshots, and so hears of it.
    """
    wait = sync.Wait(world=world.number if world is not None else None)
    members = {member.pod_uid for member in world.members} if world else set()
    live = [pod.uid for pod in seen.pods if pod.phase in {"Pending", "Running"}]
    told = {uid: action if uid in members else wait for uid in live}
    return {uid: action for uid, action in told.items() if action is not None}
