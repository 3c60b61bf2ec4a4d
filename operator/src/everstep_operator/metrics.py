"""What the operator counts about itself, for Prometheus, and where the series of its jobs are kept."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from everstep_operator.job_metrics import JobMetrics

# Else there is a second series for each counter: the moment when it began.
disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Result = Literal["done", "conflict", "error"]
"""How a look at a job ended."""


class Metrics:
    """The series of one operator process; those of jobs are in `jobs`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "everstep_api_requests",
            "Calls of the API server, by method (WATCH: a watch that begins) and code (0: no answer).",
            ["method", "code"],
            registry=self.registry,
        )
        self._answers = Histogram(
            "everstep_api_request_seconds",
            "Seconds until the API server has answered.",
            ["method"],
            buckets=(0.005, 0.02, 0.1, 0.5, 2, 10),
            registry=self.registry,
        )
        self._leading = Gauge(
            "everstep_leading", "1 in the process that leads, 0 in the others.", registry=self.registry
        )
        self._depth = Gauge("everstep_queue_depth", "Jobs that wait for a look.", registry=self.registry)
        self._looks = Histogram(
            "everstep_reconcile_seconds",
            "Seconds of each look at a job, by its result: done, conflict (somebody wrote first) or error.",
            ["result"],
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
            registry=self.registry,
        )
        self.jobs = JobMetrics(self.registry)

    def answered(self, method: str, code: int, seconds: float) -> None:
        """Count a call of the API server."""
        self._requests.labels(method, str(code)).inc()
        self._answers.labels(method).observe(seconds)

    def reconciled(self, result: Result, seconds: float) -> None:
        """Count a look at a job."""
        self._looks.labels(result).observe(seconds)

    def lead(self, depth: Callable[[], int]) -> None:
        """Say that this process leads, and how many jobs wait for it."""
        self._leading.set(1)
        self._depth.set_function(depth)

    def text(self) -> bytes:
        """All series, as Prometheus reads them."""
        return generate_latest(self.registry)
