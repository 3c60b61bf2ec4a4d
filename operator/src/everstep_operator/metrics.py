"""What the operator counts about itself, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The series of one operator process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "everstep_api_requests",
            "Calls of the API server, by method and status; the status 0 is no answer.",
            ["method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "everstep_api_request_seconds",
            "Time until the API server has answered.",
            ["method"],
            buckets=(0.005, 0.02, 0.1, 0.5, 2, 10),
            registry=self._registry,
        )
        self._leading = Gauge("everstep_leading", "Whether this process leads.", registry=self._registry)
        self._depth = Gauge("everstep_queue_depth", "Jobs that wait for a look.", registry=self._registry)

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Count a call of the API server."""
        self._requests.labels(method, str(status)).inc()
        self._seconds.labels(method).observe(seconds)

    def lead(self, depth: Callable[[], int]) -> None:
        """Say that this process leads, and how many jobs wait for it."""
        self._leading.set(1)
        self._depth.set_function(depth)

    def text(self) -> bytes:
        """All series, as Prometheus reads them."""
        return generate_latest(self._registry)
