"""What the agent does when something happens: (worker, event) → (worker, orders). Pure; `wire.table` says what.

An event is first noted among the facts. What the operator or the clock says is then looked up in the table; whatever
else the table knows, such as that the last rank has left, is read from the facts after each event, so nothing depends
on the order in which they came in.
"""

from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from everstep_agent.events import (
    CopySnapshot,
    Ended,
    EndRanks,
    EnterWorld,
    Event,
    Exit,
    ForkServerLost,
    GracePassed,
    Heard,
    Order,
    RememberWorld,
    Said,
    ShareStore,
    SnapshotHeld,
    SparesCounted,
    StopRanks,
    StoreFound,
)
from everstep_agent.membership import Membership
from everstep_agent.told import Told
from everstep_api.wire.ranks import JoinStore, SnapshotTaken, StoreOpened
from everstep_api.wire.sync import AgentState, Directive, Failure, FailureCause, Pause, Run, Stop
from everstep_api.wire.table import TABLE, Effect, Input, understand

MOST_SPARE_FAILURES = 3
"""A spare may fall to a passing lack of memory; three in a row mean that this container makes no good ones."""

_IN_NEED_OF_SPARES = (AgentState.STARTING, AgentState.TRAINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """All that the agent knows."""

    pod_uid: str
    host: str
    """Address under which the other members reach this worker."""
    devices: int
    newest_world: int = 0
    """The latest world that it was told to be in, also by a process before this one."""
    state: AgentState = AgentState.STARTING
    spec: dict[str, Any] | None = None
    """Absent until the operator was heard."""
    warm: frozenset[int] = frozenset()
    spare_failures: int = 0
    membership: Membership | None = None
    told: Told = field(default_factory=Told)
    failure: Failure | None = None
    exit_code: int | None = None

    @property
    def ranks(self) -> int:
        """How many ranks this worker runs in a world."""
        if self.membership is not None:
            return self.membership.run.ranks_per_worker
        wanted = (self.spec or {}).get("workers", {}).get("processesPerWorker", "auto")
        return wanted if isinstance(wanted, int) else max(1, self.devices)

    @property
    def spares(self) -> int:
        """How many spares shall be there.

        Beside a world that runs there is one for each rank. They are made after its first step: a rehearsal takes half
        a second of a processor, which the entry would miss.
        """
        if self.spec is None or self.state is AgentState.STOPPING:
            return 0
        inside = self.membership
        is_busy = inside is not None and inside.is_entered and not inside.has_stepped and inside.failure is None
        return 0 if is_busy else self.ranks

    @property
    def is_warm(self) -> bool:
        """Whether a world could be entered at once."""
        return self.spec is not None and self.warm.issuperset(range(self.ranks))


def advance(worker: Worker, event: Event) -> tuple[Worker, tuple[Order, ...]]:
    """Return how the worker is after an event, and what has to be done, in this order."""
    orders: list[Order] = []
    if worker.exit_code is not None:
        return worker, ()
    worker = _note(worker, event, orders)
    cause = _read(worker, event)
    while cause is not None and worker.exit_code is None:
        worker = _react(worker, cause, event, orders)
        cause = _follow(worker)
    inside = worker.membership
    if inside is not None and not inside.is_entered and worker.is_warm and worker.exit_code is None:
        orders.append(EnterWorld(run=inside.run, place=inside.place, spec=worker.spec or {}))
        worker = replace(worker, membership=inside.enter(), warm=frozenset())
    return worker, tuple(orders)


def _note(worker: Worker, event: Event, orders: list[Order]) -> Worker:
    match event:
        case Heard(directive=directive):
            return _note_directive(worker, directive)
        case SparesCounted():
            return replace(worker, warm=event.warm, spare_failures=event.failures)
        case ForkServerLost():
            return _note_lost_server(worker, event)
        case Said() | Ended() | StoreFound() | SnapshotHeld():
            inside = worker.membership
            if inside is None or inside.run.world != event.world:
                return worker  # told by ranks that were ended
            return _note_of_world(worker, inside, event, orders)
        case GracePassed():
            return worker
        case _:
            assert_never(event)


def _note_directive(worker: Worker, directive: Directive) -> Worker:
    action = directive.action
    if isinstance(action, Run | Pause) and action.world > worker.newest_world:
        worker = replace(worker, failure=None)
    return worker if isinstance(action, Stop) else replace(worker, spec=directive.spec)


def _note_lost_server(worker: Worker, event: ForkServerLost) -> Worker:
    inside = worker.membership
    if inside is None or worker.state is AgentState.STOPPING:
        return worker  # ranks that are leaving need no spares
    failure = Failure(
        world=inside.run.world,
        cause=FailureCause.RANK_EXITED,
        message=event.sentence,
        last_words=event.last_words,
    )
    return replace(worker, membership=inside.lose(failure))


def _note_of_world(
    worker: Worker, inside: Membership, event: Said | Ended | StoreFound | SnapshotHeld, orders: list[Order]
) -> Worker:
    match event:
        case StoreFound(store=store):
            orders.append(ShareStore(world=event.world, store=store))
            return replace(worker, told=replace(worker.told, resumed=store.resume))
        case Said(message=StoreOpened() as opened):
            store = JoinStore(host=worker.host, port=opened.port, resume=opened.resume)
            return _note_of_world(worker, inside, StoreFound(world=event.world, store=store), orders)
        case Said(slot=slot, message=SnapshotTaken() as taken):
            orders.append(CopySnapshot(run=inside.run, place=inside.place, slot=slot, taken=taken))
            return worker
        case SnapshotHeld(slot=slot, point=point):
            return replace(worker, told=worker.told.hold(slot, point))
        case Said(slot=slot, message=message):
            told = worker.told.hear(message, is_first=slot == 0)
            return replace(worker, told=told, membership=inside.hear(slot, message))
        case Ended():
            return replace(worker, membership=inside.end(event.slot, event.ending))


def _read(worker: Worker, event: Event) -> Input | None:
    match event:
        case Heard(directive=directive):
            return understand(directive.action, pod_uid=worker.pod_uid, newest_world=worker.newest_world)
        case GracePassed():
            return event.cause
        case ForkServerLost():
            return Input.BROKEN
        case _:
            return _follow(worker)


def _follow(worker: Worker) -> Input | None:
    """Return what the facts alone say and the state does not know yet."""
    inside = worker.membership
    is_entered = inside is not None and inside.is_entered
    if worker.spare_failures >= MOST_SPARE_FAILURES and not is_entered and worker.state in _IN_NEED_OF_SPARES:
        return Input.BROKEN
    if inside is not None:
        if worker.state is AgentState.STOPPING and not is_entered:
            return Input.LEFT
        is_told = inside.outcome is Input.LOST and inside.failure == worker.failure
        # What is left of a lost world ends with the next directive, or with the worker.
        return None if is_told and worker.state is AgentState.TRAINING else inside.outcome
    if worker.is_warm:
        return Input.WARM if worker.state is AgentState.STARTING else None
    return Input.COLD if worker.state is AgentState.READY else None


def _react(worker: Worker, cause: Input, event: Event, orders: list[Order]) -> Worker:
    reaction = TABLE[worker.state][cause]
    for effect in reaction.effects:
        worker = _perform(worker, effect, cause, event, orders)
    is_inside = reaction.state in (AgentState.TRAINING, AgentState.STOPPING) and cause is not Input.LEFT
    return replace(worker, state=reaction.state, membership=worker.membership if is_inside else None)


def _perform(worker: Worker, effect: Effect, cause: Input, event: Event, orders: list[Order]) -> Worker:
    match effect:
        case Effect.END_RANKS:
            orders.append(EndRanks())
            return replace(worker, membership=None)
        case Effect.ENTER:
            return _hear_of_world(worker, event, orders)
        case Effect.STOP_AFTER_STEP:
            return _stop(worker, cause, event, orders)
        case Effect.TELL_FAILURE:
            return replace(worker, failure=worker.membership.failure if worker.membership is not None else None)
        case Effect.EXIT | Effect.EXIT_TO_RESTART:
            code = 0 if effect is Effect.EXIT else 1
            orders.append(Exit(code=code))
            return replace(worker, exit_code=code)
        case _:
            assert_never(effect)


def _hear_of_world(worker: Worker, event: Event, orders: list[Order]) -> Worker:
    if not isinstance(event, Heard) or not isinstance(event.directive.action, Run):
        raise TypeError(f"A world is heard of by `run` alone, and this is {event!r}.")
    run = event.directive.action
    orders.append(RememberWorld(world=run.world))
    inside = Membership.of(run, pod_uid=worker.pod_uid)
    return replace(worker, newest_world=run.world, membership=inside, told=worker.told.enter())


def _stop(worker: Worker, cause: Input, event: Event, orders: list[Order]) -> Worker:
    inside = worker.membership
    if inside is None or (cause is Input.NEAR_END and inside.stop_durable is not None):
        return worker
    match event:
        case Heard(directive=Directive(action=Pause(durable=durable))):
            pass
        case _:
            durable = True  # nobody was asked who else holds the state, and the storage is sure to outlive this pod
    if inside.stop_durable is None or durable > inside.stop_durable:
        orders.append(StopRanks(durable=durable))
        worker = replace(worker, membership=replace(inside, stop_durable=durable))
    return worker
