"""The series of a worker. They are fed by what its ranks tell, survive the ranks, and go with the pod.

What is true of the whole world, such as its loss, is told by its first rank, and so exported by one worker alone. When
another worker has the first rank, this one shows it no more.
"""

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE

from everstep_agent.events import Event, Said
from everstep_agent.memory import resident_bytes
from everstep_agent.settings import Settings
from everstep_agent.state import Worker
from everstep_agent.time_account import Lost, TimeAccount
from everstep_api.wire.ranks import EvaluationMade, FromRank, Planned, Saved, Stepped
from everstep_api.wire.sync import AgentState

__all__ = ["CONTENT_TYPE", "Metrics"]

# Else there is a second series for each counter: the moment when it began.
disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types

_STEP_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 600)
_LABELS = ("training_namespace", "training_job", "worker")


class Metrics:
    """All series; labels are `training_namespace`, `training_job` and `worker`, and what a name says beside them."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self._labels = (settings.namespace, settings.job, str(settings.worker))
        self._world = self._gauge("world", "Number of the newest world that the worker was in.")
        self._state = self._gauge("agent_state", "1 for the state that the agent is in, 0 for the others.", "state")
        self._spares = self._gauge("spares_warm", "Processes that could become ranks at once.")
        self._start = self._gauge(
            "start_seconds", "Seconds until ranks could begin: imports of the fork server, then a rehearsal.", "stage"
        )
        self._planned = self._gauge("planned_steps", "Steps in all.")
        self._step = self._gauge("step", "The newest finished step, by rank of the worker.", "local_rank")
        self._loss = self._gauge("loss", "Training loss of the newest step.")
        self._rate = self._gauge("learning_rate", "Learning rate of the newest step.")
        self._norm = self._gauge("gradient_norm", "Norm of the newest step's gradient, before clipping.")
        self._evaluation = self._gauge("evaluation", "The newest evaluation of the held-out data, by metric.", "metric")
        self._tokens = self._counter("tokens", "Tokens that the world has trained on; those of repeated steps, too.")
        self._steps = self._histogram("step_seconds", "Seconds of each step, by rank of the worker.", "local_rank")
        self._waits = self._counter("data_wait_seconds", "Seconds of steps that went into their data.", "local_rank")
        self._resident = self._gauge(
            "resident_memory_bytes", "Memory of each rank; pages that it shares with the others count.", "local_rank"
        )
        self._device = self._gauge(
            "device_memory_bytes", "The most memory of its device that each rank had allocated.", "local_rank"
        )
        self._bytes = self._counter("checkpoint_bytes", "Bytes of the checkpoints that this worker committed.")
        self._checkpoints = self._histogram("checkpoint_seconds", "Seconds from a state to its manifest, as committed.")
        self._ranks_lost = self._counter("ranks_lost", "Ranks that this worker has lost, by cause.", "cause")
        self._useful = self._counter("useful_seconds", "Seconds of this worker that went into steps that count.")
        self._lost = self._counter("lost_seconds", "Seconds of this worker without a new step, by cause.", "cause")
        for cause in (None, *Lost):
            self._book(cause, 0.0)  # of a series that begins later no increase is seen
        self._account = TimeAccount(self._book, now_s=time.monotonic())

    def follow(self, before: Worker, event: Event, after: Worker) -> None:
        """Take up an event, with the worker before and after it."""
        if after.newest_world != before.newest_world:
            self._enter_world(after)
        if isinstance(event, Said):
            self._hear(str(event.slot), event.message)
        if after.failure is not None and after.failure != before.failure:
            self._ranks_lost.labels(*self._labels, after.failure.cause).inc()
        self._account.follow(before, event, after, now_s=time.monotonic())
        for state in AgentState:
            self._state.labels(*self._labels, state.value).set(after.state is state)
        self._world.labels(*self._labels).set(after.newest_world)
        self._spares.labels(*self._labels).set(len(after.warm))

    def render(self, ranks: Mapping[int, int], start_seconds: Mapping[str, float]) -> bytes:
        """Return all series in the text format of Prometheus.

        Args:
            ranks: Process id of each rank that lives, by its slot.
            start_seconds: How long each stage of the start of this process's ranks took.
        """
        self._account.settle(now_s=time.monotonic())
        self._resident.clear()
        for slot, pid in ranks.items():
            if (size_bytes := resident_bytes(pid)) is not None:
                self._resident.labels(*self._labels, str(slot)).set(size_bytes)
        for stage, seconds in start_seconds.items():
            self._start.labels(*self._labels, stage).set(seconds)
        return generate_latest(self.registry)

    def _enter_world(self, worker: Worker) -> None:
        """Show no more what another worker shows from now on, or a rank that may not be there again."""
        for gauge in (self._step, self._device):
            gauge.clear()
        if worker.membership is None or worker.membership.place != 0:
            for gauge in (self._planned, self._loss, self._rate, self._norm, self._evaluation):
                gauge.clear()

    def _hear(self, local_rank: str, message: FromRank) -> None:
        match message:
            case Planned():
                self._planned.labels(*self._labels).set(message.total_steps)
            case Stepped():
                self._hear_step(local_rank, message)
            case Saved():
                self._checkpoints.labels(*self._labels).observe(message.seconds)
                self._bytes.labels(*self._labels).inc(message.size_bytes)
            case EvaluationMade():
                for name, value in message.metrics.items():
                    self._evaluation.labels(*self._labels, name).set(value)
            case _:
                pass

    def _hear_step(self, local_rank: str, message: Stepped) -> None:
        self._step.labels(*self._labels, local_rank).set(message.step)
        self._steps.labels(*self._labels, local_rank).observe(message.seconds)
        if message.data_wait_seconds is not None:
            self._waits.labels(*self._labels, local_rank).inc(message.data_wait_seconds)
        if message.device_bytes is not None:
            self._device.labels(*self._labels, local_rank).set(message.device_bytes)
        if message.tokens is not None:
            self._tokens.labels(*self._labels).inc(message.tokens)
        for gauge, value in (
            (self._loss, message.loss),
            (self._rate, message.learning_rate),
            (self._norm, message.gradient_norm),
        ):
            if value is not None:
                gauge.labels(*self._labels).set(value)

    def _book(self, cause: Lost | None, seconds: float) -> None:
        series = self._useful.labels(*self._labels) if cause is None else self._lost.labels(*self._labels, cause)
        series.inc(seconds)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"everstep_{name}", says, (*_LABELS, *labels), registry=self.registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"everstep_{name}", says, (*_LABELS, *labels), registry=self.registry)

    def _histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(f"everstep_{name}", says, (*_LABELS, *labels), buckets=_STEP_BUCKETS, registry=self.registry)
