"""The series of a worker. They are fed by what its ranks tell, and survive the ranks.

What is true of the whole world, such as its loss, is told by its first rank, and so exported by one worker alone.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE

from everstep_agent.settings import Settings
from everstep_api.wire.ranks import EvaluationMade, FromRank, Saved, Stepped
from everstep_api.wire.sync import AgentState

__all__ = ["CONTENT_TYPE", "Metrics"]

_STEP_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 600)
_LABELS = ("training_namespace", "training_job", "worker")


class Metrics:
    """All series; labels are `training_namespace`, `training_job` and `worker`, and what a name says beside them."""

    def __init__(self, settings: Settings) -> None:
        self._registry = CollectorRegistry()
        self._labels = (settings.namespace, settings.job, str(settings.worker))
        self._world = self._gauge("world", "Number of the newest world that the worker was in.")
        self._state = self._gauge("agent_state", "1 for the state that the agent is in, 0 for the others.", "state")
        self._spares = self._gauge("spares_warm", "Processes that could become ranks at once.")
        self._step = self._gauge("step", "The newest finished step, by rank of the worker.", "local_rank")
        self._loss = self._gauge("loss", "Training loss of the newest step.")
        self._rate = self._gauge("learning_rate", "Learning rate of the newest step.")
        self._norm = self._gauge("gradient_norm", "Norm of the newest step's gradient, before clipping.")
        self._evaluation = self._gauge("evaluation", "The newest evaluation, by metric.", "metric")
        self._tokens = self._counter("tokens", "Tokens that the world has trained on.")
        self._waits = self._counter("data_wait_seconds", "Seconds that steps waited for data.", "local_rank")
        self._lost = self._counter("ranks_lost", "Ranks that this worker has lost, by cause.", "cause")
        self._bytes = self._counter("checkpoint_bytes", "Bytes of durable checkpoints.")
        self._checkpoints = self._histogram("checkpoint_seconds", "Seconds from a snapshot to its manifest.")
        self._steps = self._histogram("step_seconds", "Seconds of each step.", "local_rank")

    def hear(self, slot: int, message: FromRank) -> None:
        """Take up what a rank tells."""
        match message:
            case Stepped():
                self._hear_step(str(slot), message)
            case Saved():
                self._checkpoints.labels(*self._labels).observe(message.seconds)
                self._bytes.labels(*self._labels).inc(message.size_bytes)
            case EvaluationMade():
                for name, value in message.metrics.items():
                    self._evaluation.labels(*self._labels, name).set(value)
            case _:
                pass

    def count_loss(self, cause: str) -> None:
        """A rank was lost."""
        self._lost.labels(*self._labels, cause).inc()

    def show(self, *, state: AgentState, world: int, warm: int) -> None:
        """How the agent is now."""
        for each in AgentState:
            self._state.labels(*self._labels, each.value).set(each is state)
        self._world.labels(*self._labels).set(world)
        self._spares.labels(*self._labels).set(warm)

    def render(self) -> bytes:
        """Return all series in the text format of Prometheus."""
        return generate_latest(self._registry)

    def _hear_step(self, local_rank: str, message: Stepped) -> None:
        self._step.labels(*self._labels, local_rank).set(message.step)
        self._steps.labels(*self._labels, local_rank).observe(message.seconds)
        if message.data_wait_seconds is not None:
            self._waits.labels(*self._labels, local_rank).inc(message.data_wait_seconds)
        if message.tokens is not None:
            self._tokens.labels(*self._labels).inc(message.tokens)
        for gauge, value in (
            (self._loss, message.loss),
            (self._rate, message.learning_rate),
            (self._norm, message.gradient_norm),
        ):
            if value is not None:
                gauge.labels(*self._labels).set(value)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"everstep_{name}", says, (*_LABELS, *labels), registry=self._registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"everstep_{name}", says, (*_LABELS, *labels), registry=self._registry)

    def _histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(f"everstep_{name}", says, (*_LABELS, *labels), buckets=_STEP_BUCKETS, registry=self._registry)
