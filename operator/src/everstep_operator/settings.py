"""The operator's settings: read once, passed down, each with the reason for its value."""

from dataclasses import dataclass, field

from everstep_operator.decide.facts import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one operator process is told at its start."""

    sync_url: str
    """Where agents find the sync API, as their pods see it."""
    image: str = "everstep/trainer:0.1.0.dev0"
    """Image of the workers where neither job nor profile names one: that of this release."""
    namespace: str = ""
    """Where the operator is, whose pods alone may reach workers as the operator; empty: any namespace."""
    network_policies: bool = True
    """Whether each job gets a NetworkPolicy. It keeps others out; a job whose template opens ports for them needs it
    off."""
    limits: Limits = field(default_factory=Limits)
    """How patient decisions are."""
    reconcilers: int = 8
    """Jobs that are worked on at the same time. They wait for the API server most of the time, so a few are enough, and
    more would only queue up at its rate limit."""
    reports_per_s: int = 2_000
    """Reports that one leader takes in a second. One costs 50 µs of CPU over TLS, so these are a tenth of a core."""
    call_timeout_s: float = 10.0
    """Limit of one call of the cluster. An API server that needs longer is down; the queue tries again."""
    slowest_retry_s: float = 300.0
    """Longest wait before a job is tried again that failed again and again."""
