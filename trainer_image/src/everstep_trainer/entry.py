"""Entering a world: its store, its group, and the state from which it goes on (DESIGN 4.2)."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from everstep_api.job import TrainingJobSpec
from everstep_api.wire.decode import decode, encode
from everstep_api.wire.ranks import Enter, Inventories, Job, JoinStore, StoreOpened
from everstep_api.wire.snapshots import Inventory
from everstep_api.wire.sync import Evaluated, Resumed, StatePoint
from everstep_trainer.context import JobContext
from everstep_trainer.errors import DeniedError
from everstep_trainer.objects import Store
from everstep_trainer.parallel.world import Place, enter, join_store, open_store
from everstep_trainer.predecessor import EARLIER_WORLD, folder_of_job, have_predecessor
from everstep_trainer.report import AgentLine
from everstep_trainer.state.checkpoint import checkpoints
from everstep_trainer.state.fence import Fence
from everstep_trainer.state.memory import Holdings, Snapshot, whole_snapshots
from everstep_trainer.state.restore import Source, valid_points

log = logging.getLogger(__name__)

TIMEOUT_STEPS = 4
"""Collectives give up after so many step timeouts. A first step may take three, and the agent acts before that."""
RESULT = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`result.json`: the job is finished."""

    world: int
    step: int
    output: str
    """Where the model is."""
    before: Evaluated | None = None
    """The held-out data by the model as it was before the first step; None where nothing is held out."""
    after: Evaluated | None = None
    """The same by the model that was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What rank 0 finds in the storage, and all ranks begin with."""

    points: tuple[StatePoint, ...]
    """The checkpoints that may be gone on from, newest first."""
    earlier: str | None = None
    """Uid of the earlier job whose checkpoints these are; None when they are the job's own."""
    output: str | None = None
    """Where the model is, when the job is finished already."""
    snapshots: tuple[Holdings, ...] = ()
    """What workers hold in memory that may be gone on from, newest first."""

    @property
    def newest(self) -> Resumed | None:
        """The state that is tried first, as agent and fence are told of it."""
        held = (Resumed(world=one.point.world, step=one.point.step, tier="Memory") for one in self.snapshots)
        return max((*held, *(self.resumed(point) for point in self.points)), key=_order, default=None)

    def resumed(self, point: StatePoint) -> Resumed:
        """A checkpoint that is taken up, as agent and fence are told of it."""
        world = point.world if self.earlier is None else EARLIER_WORLD
        return Resumed(world=world, step=point.step, tier="Durable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A world that was entered."""

    context: JobContext
    fence: Fence
    beginning: Beginning
    port: int
    """Of the world's store."""
    stem: str | None
    """Folder and first part of the names of this rank's snapshots, if it shall keep any."""
    secret: str
    """Of the world."""

    def sources(self) -> list[Source]:
        """The states that may be gone on from, newest first: world before step, and memory before the storage."""
        context, beginning = self.context, self.beginning
        run = folder_of_job(context.storage, context.job, beginning.earlier) if beginning.earlier else context.run
        folder = Path(self.stem or "").parent
        held = [Snapshot(holdings=one, folder=folder, secret=self.secret) for one in beginning.snapshots]
        found: list[Source] = [*held, *checkpoints(run, beginning.points)]
        return sorted(found, key=lambda source: _order(self.resumed(source)), reverse=True)

    def resumed(self, source: Source) -> Resumed:
        """A state that is taken up, as agent and fence are told of it."""
        if source.tier == "Durable":
            return self.beginning.resumed(source.point)
        return Resumed(world=source.point.world, step=source.point.step, tier="Memory")


def enter_world(line: AgentLine, message: Enter, cache: Path) -> Entered:
    """Become the rank that the agent wants; returns once all ranks of the world have.

    Rank 0 looks into the storage and opens the store; the others hear from their agents where it is.

    Raises:
        FencedError: this world, or a later one, has begun before.
        RefusedError: the storage does not create objects atomically.
    """
    spec = TrainingJobSpec.model_validate_json(json.dumps(message.spec))
    job = message.job
    storage = Store.at(spec.storage.uri)
    run = folder_of_job(storage, job, job.uid)
    fence = Fence(run, message.world)
    place = Place(
        world=message.world,
        rank=message.rank,
        size=message.size,
        local_rank=message.local_rank,
        ranks_per_worker=message.ranks_per_worker,
        host=message.host,
    )
    timeout_s = float(TIMEOUT_STEPS * spec.recovery.step_timeout_seconds)
    found = None
    if place.is_first:
        held = line.wait_for(Inventories).found if message.snapshots is not None else ()
        look = _look_first if place.world == 1 else _look
        found = look(storage, job, spec, fence, held)
        store = open_store(timeout_s=timeout_s)
        line.tell(StoreOpened(port=store.port, resume=found.newest))
    else:
        joined = line.wait_for(JoinStore)
        store = join_store(joined.host, joined.port, timeout_s=timeout_s)
    world = enter(place, store, sharding=spec.recipe.sharding, timeout_s=timeout_s)
    told = world.tell("beginning", lambda: encode(found), timeout_s=timeout_s)
    context = JobContext(job=job, manifest=message.spec, spec=spec, storage=storage, run=run, cache=cache, world=world)
    return Entered(
        context=context,
        fence=fence,
        beginning=decode(told, Beginning),
        port=store.port,
        stem=message.snapshots,
        secret=message.secret,
    )


def _order(resumed: Resumed) -> tuple[int, int, bool]:
    return resumed.world, resumed.step, resumed.tier == "Memory"


def _look_first(
    storage: Store, job: Job, spec: TrainingJobSpec, fence: Fence, held: tuple[Inventory, ...]
) -> Beginning:
    """The same for the first world: what denies itself now was never right; later it may be keys that are renewed."""
    try:
        return _look(storage, job, spec, fence, held)
    except DeniedError as error:
        raise error.refused() from error


def _look(storage: Store, job: Job, spec: TrainingJobSpec, fence: Fence, held: tuple[Inventory, ...]) -> Beginning:
    """What storage and memory say of the job. Before its first world it is proved that the fence can be relied on."""
    run = folder_of_job(storage, job, job.uid)
    records = fence.records()
    if not records:
        run.probe()
    fence.check_number()
    result = run.find(RESULT)
    output = decode(result, Result).output if result is not None else None
    points = tuple(valid_points(run, records))
    snapshots = tuple(whole_snapshots(held, records))
    if points or output is not None:
        return Beginning(points=points, output=output, snapshots=snapshots)
    earlier = have_predecessor(storage, job, spec)
    if earlier is None:
        return Beginning(points=(), snapshots=snapshots)
    return Beginning(points=earlier.points, earlier=earlier.uid, snapshots=snapshots)
