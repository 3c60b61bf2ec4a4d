"""What the workers' memory outlives: whether a pause may leave the state there alone."""

from everstep_api.job import TrainingJobSpec
from everstep_api.status import World
from everstep_api.wire.sync import AgentState
from everstep_operator.decide.facts import Observation
from everstep_operator.decide.pods import PodPlan


def outlives_in_memory(seen: Observation, spec: TrainingJobSpec, pods: PodPlan, world: World) -> bool:
    """Whether the members that stay hold the whole state of the world once it has paused.

    Each part of it is on as many other workers as there are copies, so as many members may leave.
    """
    reports = {
        member.pod_uid: seen.agents[member.pod_uid].report for member in world.members if member.pod_uid in seen.agents
    }
    if len(reports) < world.size or not all(report.snapshots for report in reports.values()):
        return False
    wanted = {pod.uid for pod in pods.wanted}
    staying = sum(uid in wanted and report.state is not AgentState.STOPPING for uid, report in reports.items())
    copies = spec.checkpoint.snapshots.copies if spec.recipe.sharding == "full" else world.size
    return staying > 0 and world.size - staying <= copies
