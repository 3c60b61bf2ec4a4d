"""Every metric that the product exports, as a scrape of a job that has seen everything would show it."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from everstep_agent.events import Said
from everstep_agent.metrics import Metrics as AgentMetrics
from everstep_agent.settings import Settings
from everstep_agent.state import Worker
from everstep_api.history import LaunchMilliseconds
from everstep_api.status import TrainingJobStatus
from everstep_api.wire.ranks import EvaluationMade, FromRank, Planned, Saved, Stepped
from everstep_api.wire.sync import Failure, FailureCause, StatePoint
from everstep_operator.decide.facts import JobKey
from everstep_operator.metrics import Metrics as OperatorMetrics

SETTINGS = Settings(
    sync_url="https://here:1",
    namespace="team",
    job="chat",
    job_uid="uid",
    worker=1,
    pod_uid="me",
    pod_ip="10.0.0.2",
    node="node1",
    grace_seconds=60,
    port=8470,
    token_file=Path("/token"),
    ca_file=Path("/ca"),
    socket=Path("/socket"),
    shm=Path("/shm"),
    cache=Path("/cache"),
)
STEPPED = Stepped(
    step=3,
    seconds=0.5,
    loss=2.0,
    tokens=9,
    learning_rate=1e-3,
    gradient_norm=0.7,
    data_wait_seconds=0.1,
    device_bytes=7,
)
SAVED = Saved(point=StatePoint(world=1, step=3), uri="s3://x", commit_time="t", seconds=2.0, size_bytes=10)
STATUS = TrainingJobStatus.model_validate_json("""{
    "phase": "Running",
    "launchMilliseconds": {"scheduling": 1, "firstStep": 1},
    "world": {"number": 1, "size": 1, "startTime": "2026-01-01T00:00:00Z", "members": [{"worker": 0, "podUID": "a"}]},
    "checkpoints": {"durable": {"step": 1, "uri": "s3://x", "commitTime": "2026-01-01T00:00:00Z"}}
}""")


class Exported(NamedTuple):
    """What is to be known of a metric."""

    name: str
    kind: str
    labels: str
    says: str


def of_operator() -> list[Exported]:
    """The operator's metrics, in their order in the code."""
    metrics = OperatorMetrics()
    metrics.answered("GET", 200, 0.1)
    metrics.reconciled("done", 0.1)
    before = TrainingJobStatus(launch_milliseconds=LaunchMilliseconds())
    metrics.jobs.follow(JobKey("team", "chat"), before, STATUS)
    return list(_exported(metrics.registry))


def of_agent() -> list[Exported]:
    """The agent's metrics, in their order in the code."""
    metrics = AgentMetrics(SETTINGS)
    worker = Worker(pod_uid="me", host="10.0.0.2", devices=0)
    said: list[FromRank] = [
        Planned(total_steps=9, most_ranks=4),
        STEPPED,
        SAVED,
        EvaluationMade(step=3, metrics={"loss": 2.0}),
    ]
    for message in said:
        metrics.follow(worker, Said(world=1, slot=0, message=message), worker)
    failure = Failure(world=1, cause=FailureCause.RANK_KILLED)
    lost = Worker(pod_uid="me", host="10.0.0.2", devices=0, failure=failure)
    metrics.follow(worker, Said(world=1, slot=0, message=STEPPED), lost)
    metrics.render({0: 1}, {"imports": 2.0})
    return list(_exported(metrics.registry))


def _exported(registry: CollectorRegistry) -> Iterable[Exported]:
    for family in registry.collect():
        labels = {name: None for sample in family.samples for name in sample.labels if name != "le"}
        assert family.samples, f"{family.name} is fed by nothing"
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield Exported(name, family.type, ", ".join(f"`{label}`" for label in labels), family.documentation)
