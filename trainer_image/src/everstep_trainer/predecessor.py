"""The earlier job of the same name and recipe, whose newest checkpoint a job that is applied again takes up.

Its checkpoints are read where they are. What the first world chose stands in `predecessor.json`, so that all later
worlds choose the same until the job has a checkpoint of its own.
"""

import logging
from dataclasses import dataclass, replace

from everstep_api.digests import recipe_hash
from everstep_api.job import TrainingJobSpec
from everstep_api.wire.decode import MalformedMessageError, decode, encode
from everstep_api.wire.ranks import Job
from everstep_api.wire.sync import StatePoint
from everstep_trainer.data.ledger import Line, name_of, read_ledger, to_text
from everstep_trainer.errors import DamagedError, RefusedError
from everstep_trainer.objects import Store
from everstep_trainer.plan import PLAN, Plan
from everstep_trainer.planning import resolve_all
from everstep_trainer.state.fence import Fence, is_valid
from everstep_trainer.state.manifest import folder_of
from everstep_trainer.state.restore import valid_points

log = logging.getLogger(__name__)

PREDECESSOR = "predecessor.json"
EARLIER_WORLD = 0
"""All worlds of the predecessor count as one that was before the first world of the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """`predecessor.json`: whose work the job goes on with."""

    uid: str
    points: tuple[StatePoint, ...]
    """Its checkpoints that could be gone on from, newest first."""


def folder_of_job(storage: Store, job: Job, uid: str) -> Store:
    """The folder of a job of this name."""
    return storage.under(f"{job.namespace}/{job.name}/{uid}")


def have_predecessor(storage: Store, job: Job, spec: TrainingJobSpec) -> Predecessor | None:
    """Whose work the job goes on with, chosen now unless it was before; its plan and its ledger are then the job's own.

    To be asked as long as the job has no checkpoint.

    Raises:
        RefusedError: what the recipe reads is not there.
    """
    run = folder_of_job(storage, job, job.uid)
    text = run.find(PREDECESSOR)
    if text is None:
        is_begun = run.head(PLAN) is not None
        found = None if is_begun or spec.checkpoint.resume_policy == "Never" else _find(storage, job, spec)
        if found is None:
            return None
        run.put_if_absent(PREDECESSOR, encode(found))
        text = run.get(PREDECESSOR)
    chosen: Predecessor = decode(text, Predecessor)
    _have_inheritance(folder_of_job(storage, job, chosen.uid), run, chosen)
    return chosen


def _find(storage: Store, job: Job, spec: TrainingJobSpec) -> Predecessor | None:
    """The earlier job of this recipe and of the same files and data that has the newest checkpoint."""
    wanted = recipe_hash(spec.recipe)
    found: list[tuple[float, Predecessor, Plan]] = []
    for uid in storage.under(f"{job.namespace}/{job.name}").folders():
        run = folder_of_job(storage, job, uid)
        plan = _plan_of(run, uid) if uid != job.uid else None
        if plan is None or plan.recipe_hash != wanted:
            continue
        points = _points_of(run, uid)
        committed = run.head(f"{folder_of(points[0])}/manifest.json") if points else None
        if committed is not None:
            found.append((committed.modified_s, Predecessor(uid=uid, points=points), plan))
    if not found:
        return None
    _, newest, plan = max(found, key=lambda one: one[0])
    if not _reads_the_same(plan, spec):
        log.warning("Begins afresh: model or data are not those that the job %s of this recipe has read.", newest.uid)
        return None
    log.info("Takes up an earlier job of this name and recipe: uid=%s step=%d", newest.uid, newest.points[0].step)
    return newest


def _plan_of(run: Store, uid: str) -> Plan | None:
    text = run.find(PLAN)
    try:
        return Plan.from_json(text) if text is not None else None
    except MalformedMessageError as error:
        log.warning("The plan of the earlier job %s cannot be read, so its work is not taken up: %s", uid, error)
        return None


def _points_of(run: Store, uid: str) -> tuple[StatePoint, ...]:
    """Its checkpoints that may be gone on from, if its ledger, which the job's own audit needs, can be read as well."""
    try:
        points = tuple(valid_points(run, Fence(run, 0).records()))
        read_ledger(run)
    except DamagedError as error:
        log.warning("The folder of the earlier job %s is damaged, so its work is not taken up: %s", uid, error)
        return ()
    return points


def _reads_the_same(plan: Plan, spec: TrainingJobSpec) -> bool:
    """Whether the recipe's addresses hold now what they held then."""
    now = resolve_all(spec.recipe)
    then = [(source.address, source.role, source.preparation.objects) for source in plan.sources]
    files = [folder.files for folder in (plan.files.model, plan.files.tokenizer) if folder is not None]
    found = [folder.files for folder in (now.files.model, now.files.tokenizer) if folder is not None]
    return files == found and then == [(source.address, source.role, source.objects) for source in now.data]


def _have_inheritance(earlier: Store, run: Store, chosen: Predecessor) -> None:
    """Have the earlier plan, and the ledger up to the state, in the job's own folder; what is there already stays.

    Raises:
        RefusedError: the earlier folder is gone before the job has a checkpoint of its own.
    """
    ledger = name_of(StatePoint(world=EARLIER_WORLD, step=chosen.points[0].step))
    if run.head(PLAN) is not None and run.head(ledger) is not None:
        return
    plan = earlier.find(PLAN)
    if plan is None:
        raise RefusedError(
            f"The job goes on with the work of the earlier job {chosen.uid}, but {earlier.uri} is gone. Put it back, or"
            " delete the job and apply it again to begin anew."
        )
    run.put_if_absent(PLAN, plan)
    run.put_if_absent(ledger, to_text(_lines_up_to(earlier, chosen.points[0])))


def _lines_up_to(earlier: Store, point: StatePoint) -> list[Line]:
    worlds = Fence(earlier, 0).records()
    return [
        replace(line, world=EARLIER_WORLD)
        for line in read_ledger(earlier)
        if line.step <= point.step and is_valid(StatePoint(world=line.world, step=line.step), worlds)
    ]
