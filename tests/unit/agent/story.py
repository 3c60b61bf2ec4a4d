"""A worker's story: events, one after the other, and what its agent ordered in the last of them."""

from typing import Any

from everstep_agent.events import (
    Ended,
    Event,
    GracePassed,
    Heard,
    Order,
    Said,
    SparesCounted,
)
from everstep_agent.lastwords import Ending
from everstep_agent.state import Worker, advance
from everstep_api.wire.ranks import (
    FromRank,
    PhaseBegun,
)
from everstep_api.wire.sync import (
    Action,
    AgentState,
    Directive,
    Member,
    Phase,
    Run,
    Wait,
)
from everstep_api.wire.table import Input

SPEC = {"workers": {"processesPerWorker": 2}}
ME = Member(worker=1, pod_uid="me", address="10.0.0.2:8470", node="n")
YOU = Member(worker=0, pod_uid="you", address="10.0.0.1:8470", node="n")
WARM = SparesCounted(warm=frozenset({0, 1}), failures=0)
SIGTERM = GracePassed(cause=Input.SIGNAL)
NEAR_END = GracePassed(cause=Input.NEAR_END)
END = GracePassed(cause=Input.END)


def hear(action: Action) -> Heard:
    return Heard(directive=Directive(digest="d", action=action, spec=SPEC))


def run(world: int, *members: Member) -> Heard:
    members = members or (YOU, ME)
    return hear(Run(world=world, members=members, ranks_per_worker=2, secret="s"))  # noqa: S106 - nobody's


def say(slot: int, message: FromRank, world: int = 1) -> Said:
    return Said(world=world, slot=slot, message=message)


def end(slot: int, world: int = 1, **how: Any) -> Ended:
    return Ended(world=world, slot=slot, ending=Ending(**how))


class Story:
    """A worker that has lived through events, and what its agent ordered in the last of them."""

    def __init__(self, *events: Event) -> None:
        self.worker = Worker(pod_uid="me", host="10.0.0.2", devices=0)
        self.orders: tuple[Order, ...] = ()
        self.then(*events)

    def then(self, *events: Event) -> "Story":
        for event in events:
            self.worker, self.orders = advance(self.worker, event)
        return self

    @property
    def state(self) -> AgentState:
        return self.worker.state

    @property
    def kinds(self) -> list[type[Order]]:
        return [type(order) for order in self.orders]


def a_ready_worker() -> Story:
    return Story(hear(Wait()), WARM)


def a_training_worker(world: int = 1) -> Story:
    return a_ready_worker().then(run(world), say(0, PhaseBegun(phase=Phase.TRAIN), world))
