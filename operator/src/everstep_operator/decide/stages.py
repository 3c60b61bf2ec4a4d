"""How long each stage took, of the launch and of a recovery.

A stage that is over is written down in the status at the look that finds it so, as the time since the stage before.
Pods and agents wake a look with each of these changes, so this is right to some milliseconds, by one clock. What a look
finds over at once with an earlier stage, such as the first look of a new leader, counts as a part of that one.
"""

from collections.abc import Mapping
from datetime import datetime

from everstep_api.history import LaunchMilliseconds, Recoveries, RecoveryMilliseconds
from everstep_api.status import World
from everstep_api.wire.sync import Phase
from everstep_operator.decide.conditions import Scene
from everstep_operator.decide.facts import Observation
from everstep_operator.decide.world import most_members


def launch_of(scene: Scene, start_time: datetime | None, world: World | None) -> LaunchMilliseconds | None:
    """The stages of the launch that are over; None for a job that is not to run.

    Args:
        scene: What is seen and planned.
        start_time: When the job was accepted.
        world: The world that is, or is to be.
    """
    seen = scene.seen
    if start_time is None:
        return None
    old = seen.job.status.launch_milliseconds or LaunchMilliseconds()
    if old.first_step is not None:
        return old
    size = world.size if world is not None else most_members(seen, scene.spec)
    pods = scene.wanted
    agents = [seen.agents[pod.uid] for pod in pods if pod.uid in seen.agents]
    is_over = {
        "scheduling": sum(pod.node != "" for pod in pods) >= size,
        "starting": sum(pod.started is not None for pod in pods) >= size,
        "reporting": len(agents) >= size,
        "warming": sum(agent.can_enter for agent in agents) >= size,
        "entering": _has_passed(seen, world, Phase.ENTER),
        "loading": _has_passed(seen, world, Phase.ENTER, Phase.LOAD, Phase.PREPARE),
        "evaluating": _has_passed(seen, world, Phase.ENTER, Phase.LOAD, Phase.PREPARE, Phase.EVALUATE),
        "first_step": _has_stepped(seen, world),
    }
    return old.model_copy(update=_written(old.model_dump(), is_over, _milliseconds(start_time, seen.now)))


def timed_recoveries(seen: Observation, recoveries: Recoveries | None, world: World | None) -> Recoveries | None:
    """The recoveries, the newest one with its stages that are over.

    Args:
        seen: What is.
        recoveries: As they are.
        world: The world that is, or is to be.
    """
    if recoveries is None or not recoveries.recent or world is None or world.number <= recoveries.recent[0].world:
        return recoveries
    newest = recoveries.recent[0]
    old = newest.milliseconds or RecoveryMilliseconds()
    if old.first_step is not None:
        return recoveries
    is_over = {
        "agree": True,
        "restore": _has_passed(seen, world, Phase.ENTER, Phase.LOAD, Phase.PREPARE),
        "first_step": _has_stepped(seen, world),
    }
    times = old.model_copy(update=_written(old.model_dump(), is_over, _milliseconds(newest.time, seen.now)))
    return recoveries.model_copy(
        update={"recent": (newest.model_copy(update={"milliseconds": times}), *recoveries.recent[1:])}
    )


def _written(known: Mapping[str, int | None], is_over: Mapping[str, bool], elapsed: int) -> dict[str, int]:
    """The milliseconds of each stage up to the last one that is over; the first that is new has all that is left."""
    names = list(is_over)
    reached = names[: max((index + 1 for index, name in enumerate(names) if is_over[name]), default=0)]
    written: dict[str, int] = {}
    for name in reached:
        before = known[name]
        rest = elapsed - sum(value or 0 for value in known.values()) if not written else 0
        if before is None:
            written[name] = max(0, rest)
    return written


def _milliseconds(begin: datetime, end: datetime) -> int:
    return round((end - begin).total_seconds() * 1000)


def _has_passed(seen: Observation, world: World | None, *phases: Phase) -> bool:
    """Whether a rank of the world does what comes after these phases."""
    reports = [agent.report for agent in seen.agents.values() if world and agent.report.world == world.number]
    return any(report.progress is not None or report.phase not in {None, *phases} for report in reports)


def _has_stepped(seen: Observation, world: World | None) -> bool:
    return any(
        agent.report.progress is not None
        for agent in seen.agents.values()
        if world and agent.report.world == world.number
    )
