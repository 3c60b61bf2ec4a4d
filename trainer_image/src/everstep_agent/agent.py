"""The agent: hands each event to `state`, does what that orders, and lets the operator know."""

import asyncio
import logging
from collections.abc import Sequence
from typing import assert_never
from uuid import uuid4

import aiohttp

from everstep_agent import report, state
from everstep_agent.events import (
    CopySnapshot,
    EndRanks,
    EnterWorld,
    Event,
    Exit,
    GracePassed,
    Heard,
    Order,
    RememberWorld,
    ShareStore,
    StopRanks,
    StoreFound,
)
from everstep_agent.holding import Holding
from everstep_agent.metrics import Metrics
from everstep_agent.processes import Processes
from everstep_agent.settings import Settings
from everstep_agent.state import Worker
from everstep_agent.sync import Sync
from everstep_agent.world import Memory, Worlds, fetch_store
from everstep_api.wire.ranks import Enter, Job, StopAfterStep
from everstep_api.wire.sync import AgentState, Directive, Report, Run
from everstep_api.wire.table import Input

_log = logging.getLogger(__name__)

_NEAR_END_S = 10.0
"""So long before its end an agent that nobody has paused pauses its world itself."""
_END_S = 3.0
"""What is left of the grace period for a last report, whose timeout is 2 s."""


class Agent:
    """One worker's agent. All of it runs in one event loop, and each event is dealt with before the next."""

    def __init__(
        self,
        settings: Settings,
        *,
        command: Sequence[str],
        devices: int,
        session: aiohttp.ClientSession,
        group: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._session = session
        self._group = group
        self._boot_id = uuid4().hex
        self._memory = Memory(settings.shm, pod_uid=settings.pod_uid)
        newest = self._memory.read()
        self._worker = Worker(pod_uid=settings.pod_uid, host=settings.pod_ip, devices=devices, newest_world=newest)
        self._search: asyncio.Task[None] | None = None
        self._has_grace = False
        self.port = settings.port
        """Where the worker answers; set before the first report."""
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Its code, once the agent shall exit."""
        self.worlds = Worlds(newest)
        self.metrics = Metrics(settings)
        self.processes = Processes(command=command, folder=settings.socket.parent, happen=self.happen)
        self.holding = Holding(
            settings.shm,
            pod_uid=settings.pod_uid,
            address=lambda: self.address,
            session=session,
            group=group,
            tell=self.processes.tell,
            happen=self.happen,
        )
        self.sync = Sync(settings, session, report=self.report, hear=self._hear)

    def happen(self, event: Event) -> None:
        """Deal with an event."""
        before = self._worker
        self._worker, orders = state.advance(before, event)
        self.metrics.follow(before, event, self._worker)
        self._tell_loss(before)
        for order in orders:
            self._obey(order)
        if self._worker.exit_code is None:
            self.processes.keep_spares(self._worker.spares)
        self.sync.look()

    def begin_grace(self) -> None:
        """SIGTERM has come: leave the world as a whole if there is time, and exit before the kernel ends everything."""
        if self._has_grace:
            return
        self._has_grace = True
        loop = asyncio.get_running_loop()
        grace_s = float(self._settings.grace_seconds)
        _log.info("Was told to end: grace_s=%d world=%d", grace_s, self._worker.newest_world)
        loop.call_later(max(0.0, grace_s - _NEAR_END_S), self.happen, GracePassed(cause=Input.NEAR_END))
        loop.call_later(max(0.0, grace_s - _END_S), self.happen, GracePassed(cause=Input.END))
        self.happen(GracePassed(cause=Input.SIGNAL))

    def close(self) -> None:
        """End all processes and tasks of this agent."""
        self._stop_search()
        self.holding.stop()
        self.processes.close()

    @property
    def address(self) -> str:
        """Where the other workers reach this one."""
        host = self._settings.pod_ip
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def report(self) -> Report:
        """Return the report of this moment."""
        settings = self._settings
        identity = report.Identity(
            boot_id=self._boot_id, worker=settings.worker, node=settings.node, address=self.address
        )
        return report.write(self._worker, identity)

    def render_metrics(self) -> bytes:
        """Return the worker's series as Prometheus reads them."""
        return self.metrics.render(self.processes.ranks, self.processes.start_seconds)

    def unreadiness(self) -> str | None:
        """Return why the worker is not ready; nothing when it is."""
        worker = self._worker
        if worker.state is not AgentState.STARTING:
            return None
        if worker.spec is None:
            return "The operator has not been heard yet."
        return f"{len(worker.warm)} of {worker.ranks} spares are warm."

    def _hear(self, directive: Directive) -> None:
        self.holding.admission.hear(directive.action)
        self.happen(Heard(directive=directive))

    def _tell_loss(self, before: Worker) -> None:
        failure = self._worker.failure
        if failure is not None and failure != before.failure:
            first_line = failure.message.partition("\n")[0]
            _log.warning(
                "Lost a rank: %s world=%d rank=%s cause=%s", first_line, failure.world, failure.rank, failure.cause
            )

    def _obey(self, order: Order) -> None:
        match order:
            case RememberWorld():
                self._memory.write(order.world)
            case EnterWorld():
                self._enter(order)
            case ShareStore():
                self.worlds.publish(order.world, order.store)
                for slot, rank in self._ranks().items():
                    if rank != 0:
                        self.processes.tell(slot, order.store)
            case CopySnapshot():
                self.holding.copy(order)
            case StopRanks():
                _log.info("Stopping after a step: world=%d durable=%s", self._worker.newest_world, order.durable)
                self.processes.tell_all(StopAfterStep(durable=order.durable))
            case EndRanks():
                self._stop_search()
                self.holding.stop()
                self.processes.end_ranks()
            case Exit():
                _log.info("Exiting: code=%d state=%s", order.code, self._worker.state)
                self.exit.set_result(order.code)
            case _:
                assert_never(order)

    def _enter(self, order: EnterWorld) -> None:
        run, settings = order.run, self._settings
        size = len(run.members) * run.ranks_per_worker
        _log.info("Entering: world=%d place=%d size=%d", run.world, order.place, size)
        self._stop_search()
        self.worlds.enter(run)
        job = Job(namespace=settings.namespace, name=settings.job, uid=settings.job_uid)
        self.processes.enter(
            {
                slot: Enter(
                    job=job,
                    world=run.world,
                    rank=rank,
                    size=size,
                    local_rank=slot,
                    ranks_per_worker=run.ranks_per_worker,
                    spec=order.spec,
                    host=settings.pod_ip,
                    secret=run.secret,
                    snapshots=self.holding.stem(slot),
                )
                for slot, rank in self._ranks().items()
            }
        )
        self.holding.enter(run, order.place)
        if order.place != 0:
            self._search = self._group.create_task(self._find_store(run))

    def _ranks(self) -> dict[int, int]:
        inside = self._worker.membership
        return {} if inside is None else {slot: inside.rank(slot) for slot in inside.stages}

    async def _find_store(self, run: Run) -> None:
        store = await fetch_store(self._session, run)
        if store is not None:
            self.happen(StoreFound(world=run.world, store=store))

    def _stop_search(self) -> None:
        if self._search is not None:
            self._search.cancel()
            self._search = None
