"""The report: all that the operator shall know, written from what the agent knows. Pure."""

from dataclasses import dataclass

from everstep_agent.state import Worker
from everstep_api.wire.sync import PROTOCOL, AgentState, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who reports; it never changes in the life of an agent."""

    boot_id: str
    worker: int
    node: str
    address: str
    """Where its port answers, `host:port`."""


def write(worker: Worker, identity: Identity) -> Report:
    """Return the report of this moment."""
    told = worker.told
    return Report(
        protocol=PROTOCOL,
        boot_id=identity.boot_id,
        worker=identity.worker,
        address=identity.address,
        node=identity.node,
        state=worker.state,
        ranks=worker.ranks,
        world=worker.newest_world or None,
        phase=told.phase if worker.membership is not None else None,
        progress=told.progress,
        most_ranks=told.most_ranks,
        resumed=told.resumed,
        snapshots=told.snapshots,
        memory=told.memory,
        durable=told.durable,
        evaluations=told.evaluations,
        failure=worker.failure,
        output=told.output if worker.state is AgentState.DONE else None,
    )
