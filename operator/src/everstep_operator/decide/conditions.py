"""What is said about a job in its conditions, each sentence with its numbers."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from everstep_api import sentences
from everstep_api.conditions import ConditionType, Reason, Statement
from everstep_api.job import TrainingJobSpec
from everstep_api.status import Condition, World, stated
from everstep_api.wire import sync
from everstep_operator.decide.facts import Observation, Pod
from everstep_operator.decide.failures import Loss
from everstep_operator.decide.obstacles import scheduling_causes, slow_start, start_trouble
from everstep_operator.decide.progress import checkpoints_of
from everstep_operator.decide.world import WorldPlan, fewest_members, most_members

_BLOCKING = {
    ConditionType.FAILED: "True",
    ConditionType.ACCEPTED: "False",
    ConditionType.SUSPENDED: "True",
    ConditionType.SCHEDULED: "False",
    ConditionType.RUNNING: "False",
}
"""The status by which a condition keeps a job from training, in the order in which people should read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the sentences speak of."""

    seen: Observation
    spec: TrainingJobSpec
    wanted: tuple[Pod, ...]
    plan: WorldPlan
    loss: Loss | None

    @property
    def step(self) -> int:
        """The last step that is known."""
        progress = self.seen.job.status.progress
        return progress.step if progress else 0

    @property
    def kept_step(self) -> int:
        """The newest step that storage or memory have."""
        kept = checkpoints_of(self.seen, self.seen.job.status.world)
        durable = kept.durable.step if kept is not None and kept.durable is not None else 0
        memory = kept.memory.step if kept is not None and kept.memory is not None else None
        return max(durable, memory or 0)


def with_conditions(
    seen: Observation, said: Iterable[Statement], unsaid: Collection[ConditionType] = ()
) -> tuple[Condition, ...]:
    """The job's conditions with these statements in them, and without those of which nothing can be said now.

    The moment of a condition moves only where its status flips.
    """
    conditions = tuple(condition for condition in seen.job.status.conditions if condition.type not in unsaid)
    for statement in said:
        conditions = stated(conditions, statement, generation=seen.job.generation, now=seen.now)
    return tuple(sorted(conditions, key=lambda condition: tuple(ConditionType).index(condition.type)))


def blocking(conditions: Iterable[Condition]) -> Condition | None:
    """The first condition that keeps the job from training."""
    found = {condition.type: condition for condition in conditions if condition.status == _BLOCKING.get(condition.type)}
    return next((found[kind] for kind in _BLOCKING if kind in found), None)


def statements(scene: Scene) -> list[Statement]:
    """Everything to be said about a job that goes on."""
    suspended = _suspended(scene)
    scheduled = [] if scene.spec.suspend else [_scheduled(scene)]
    return [*scheduled, _running(scene), *([suspended] if suspended else [])]


def _scheduled(scene: Scene) -> Statement:
    replicas = scene.spec.workers.replicas
    placed = sum(bool(pod.node) for pod in scene.wanted)
    if placed >= replicas:
        return sentences.all_scheduled(replicas)
    cause = "; ".join(scheduling_causes(scene.wanted)) or "their pods are given to nodes."
    return sentences.waiting_for_workers(placed, wanted=replicas, enough=fewest_members(scene.spec), cause=cause)


def _running(scene: Scene) -> Statement:
    plan, spec = scene.plan, scene.spec
    if spec.suspend:
        return sentences.standing_still()
    if plan.world is None or plan.is_over:
        return _between_worlds(scene)
    if plan.is_pausing:
        return sentences.resizing(plan.world.size, to=min(len(scene.wanted), most_members(scene.seen, spec)))
    return _in_world(scene, plan.world)


def _between_worlds(scene: Scene) -> Statement:
    trouble = start_trouble(scene.wanted, scene.spec, replicas=scene.spec.workers.replicas)
    if trouble is not None:
        return Statement(reason=trouble.reason, message=f"{_cause(scene)}{trouble.message}")
    agents = [scene.seen.agents[pod.uid] for pod in scene.wanted if pod.uid in scene.seen.agents]
    warm = sum(agent.can_enter for agent in agents)
    waiting = sentences.starting(warm, wanted=most_members(scene.seen, scene.spec)).message
    return Statement(reason=_occasion(scene), message=f"{_cause(scene)}{waiting}{_restarts(scene)}{_slowness(scene)}")


def _in_world(scene: Scene, world: World) -> Statement:
    reports = [agent.report for agent in scene.seen.agents.values() if agent.report.world == world.number]
    if any(report.progress is not None for report in reports):
        return _training(scene, world)
    if scene.step > 0:
        told = next((report.resumed.step for report in reports if report.resumed is not None), scene.kept_step)
        said = sentences.taking_up(world.number, size=world.size, resume_step=told)
        return Statement(reason=_occasion(scene), message=f"{_cause(scene)}{said}")
    phases = {report.phase for report in reports}
    doing = "prepares the data" if sync.Phase.PREPARE in phases else "loads model and data"
    return sentences.loading(world.number, size=world.size, doing=doing)


def _training(scene: Scene, world: World) -> Statement:
    replicas, useful = scene.spec.workers.replicas, most_members(scene.seen, scene.spec)
    if useful < replicas:
        return sentences.training_with_idle(world.number, size=world.size, replicas=replicas, useful=useful)
    said = sentences.training(world.number, size=world.size)
    trouble = start_trouble(scene.wanted, scene.spec, replicas=replicas)
    return said if trouble is None else Statement(reason=said.reason, message=f"{said.message} {trouble.message}")


def _occasion(scene: Scene) -> Reason:
    """Why no world trains: a loss, a planned change, or because the job begins or goes on after a suspension.

    The occasion of a world that has not stepped yet is that of the look which formed it.
    """
    if scene.loss is not None or _was_lost(scene.seen):
        return Reason.RECOVERING
    said = {item.type: item.reason for item in scene.seen.job.status.conditions}.get(ConditionType.RUNNING)
    return Reason(said) if said in {Reason.RECOVERING, Reason.RESIZING} else Reason.STARTING


def _was_lost(seen: Observation) -> bool:
    """Whether the world of the status ended by a loss, whatever was said since then."""
    world, recoveries = seen.job.status.world, seen.job.status.recoveries
    if world is None or world.end_time is None or recoveries is None or not recoveries.recent:
        return False
    return recoveries.recent[0].world == world.number


def _slowness(scene: Scene) -> str:
    late = slow_start(scene.wanted, scene.seen.now)
    return f" {late}" if late is not None else ""


def _suspended(scene: Scene) -> Statement | None:
    """Whether the job stands still because it was told to; nothing is said of a job that never was."""
    was = any(condition.type == ConditionType.SUSPENDED for condition in scene.seen.job.status.conditions)
    if not scene.spec.suspend:
        return sentences.resumed() if was else None
    is_reached = not any(pod.phase in {"Pending", "Running"} for pod in scene.seen.pods)
    return sentences.suspend_reached(scene.step) if is_reached else sentences.suspend_wanted(scene.step)


def _cause(scene: Scene) -> str:
    """What was lost in this look, with the space that follows it. Later looks have it in `recoveries`."""
    return f"{scene.loss.message} " if scene.loss is not None else ""


def _restarts(scene: Scene) -> str:
    """What is known of containers that end again and again, for a job that waits for them."""
    worst = max(scene.wanted, key=lambda pod: pod.restarts, default=None)
    if worst is None or worst.restarts == 0 or worst.last_ending is None:
        return ""
    return (
        f" Worker {worst.worker} was started {worst.restarts + 1} times and ended with code"
        f" {worst.last_ending.exit_code} the last time; the log of the pod {worst.name} says why."
    )
