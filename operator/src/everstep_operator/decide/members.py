"""How each member of the present world stands to it, which is all that the rest asks of pods and reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from everstep_api.status import Member, World
from everstep_api.wire.sync import AgentState
from everstep_operator.decide.facts import Agent, Observation, Pod


class Standing(StrEnum):
    """How a member stands to its world."""

    UNKNOWN = "unknown"
    """This leader has not heard of it yet."""
    COMING = "coming"
    """It has not entered yet."""
    INSIDE = "inside"
    LEFT = "left"
    """It is out of this world, after a pause."""
    DONE = "done"
    FAILED = "failed"
    """It tells a failure of a rank in this world."""
    RESTARTED = "restarted"
    """The agent that entered has ended."""
    SILENT = "silent"
    """It gives no answer while the world stands still."""
    GONE = "gone"
    """Its pod has ended."""


LOST = frozenset({Standing.RESTARTED, Standing.SILENT, Standing.GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The world of the status, and how its members stand to it."""

    world: World
    by_uid: Mapping[str, Standing]

    def are_all(self, *wanted: Standing) -> bool:
        """Whether every member stands so."""
        return set(self.by_uid.values()) <= set(wanted)

    def has(self, *wanted: Standing) -> bool:
        """Whether some member stands so."""
        return not set(self.by_uid.values()).isdisjoint(wanted)


def standings_of(seen: Observation) -> Standings | None:
    """How the members of the status' world stand; None before the first world."""
    world = seen.job.status.world
    if world is None:
        return None
    silent = _silent(world, seen)
    pods = {pod.uid: pod for pod in seen.pods}
    found = {
        member.pod_uid: _standing(seen, world, member, pods.get(member.pod_uid), silent) for member in world.members
    }
    return Standings(world=world, by_uid=found)


def _standing(seen: Observation, world: World, member: Member, pod: Pod | None, silent: frozenset[str]) -> Standing:
    agent = seen.agents.get(member.pod_uid)
    report = agent.report if agent is not None else None
    if report is not None and report.failure is not None and report.failure.world == world.number:
        return Standing.FAILED
    if report is not None and report.state is AgentState.DONE and report.world == world.number:
        return Standing.DONE
    if pod is None or pod.phase in {"Succeeded", "Failed"}:
        return Standing.GONE
    if pod.started is None:
        return Standing.RESTARTED  # its container has ended, and is about to be started again
    if member.pod_uid in silent:
        return Standing.SILENT
    return Standing.UNKNOWN if agent is None else _told(world, agent)


def _told(world: World, agent: Agent) -> Standing:
    """How a member stands that runs and tells of no failure."""
    if agent.report.world != world.number:
        return Standing.COMING
    if agent.report.state not in {AgentState.STARTING, AgentState.READY}:
        return Standing.INSIDE
    # Which worlds an agent knows outlives its process, so one that was started anew looks as if it had left.
    is_new = agent.restarted is not None and agent.restarted >= world.start_time
    return Standing.RESTARTED if is_new else Standing.LEFT


def _silent(world: World, seen: Observation) -> frozenset[str]:
    """The members that say nothing while nothing proves them alive.

    A step needs all members, so a world that advances has no silent ones. When more than half fall silent together, the
    fault is with the control plane: nobody is lost then.
    """
    limits, members = seen.limits, [member.pod_uid for member in world.members]
    heard = {uid: seen.agents[uid] for uid in members if uid in seen.agents}
    if any(seen.now - agent.advanced < limits.silence for agent in heard.values()):
        return frozenset()
    silent = {uid for uid, agent in heard.items() if seen.now - agent.heard >= limits.silence}
    if seen.now - max(seen.leading_since, world.start_time) >= limits.unknown:
        silent |= {uid for uid in members if uid not in heard}
    return frozenset() if 2 * len(silent) > len(members) else frozenset(silent)
