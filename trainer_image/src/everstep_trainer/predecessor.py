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
from everstep_trainer.data.ledger import name_of, read_ledger, to_text
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
    _inherit(folder_of_job(storage, job, chosen.uid), run, chosen.points[0])
    return chosen


def _find(storage: Store, job: Job, spec: TrainingJobSpec) -> Predecessor | None:
    """The earlier job of this recipe and of the same files and data that has the newest checkpoint."""
    wanted = recipe_hash(spec.recipe)
    found: list[tuple[float, Predecessor, Plan]] = []
    for uid in storage.under(f"{job.namespace}/{job.name}").folders():
        run = folder_of_job(storage, job, uid)
        plan = _plan_of(run)
        if uid == job.uid or plan is None or plan.recipe_hash != wanted:
            continue
        points = tuple(valid_points(run, Fence(run, 0).records()))
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


def _plan_of(run: Store) -> Plan | None:
    text = run.find(PLAN)
    try:
        return Plan.from_json(text) if text is not None else None
    except MalformedMessageError:
        return None  # of a release that planned otherwise


def _reads_the_same(plan: Plan, spec: TrainingJobSpec) -> bool:
    """Whether the recipe's addresses hold now what they held then."""
    now = resolve_all(spec.recipe)
    then = [(source.address, source.role, source.preparation.objects) for source in plan.sources]
    files = [folder.files for folder in (plan.files.model, plan.files.tokenizer) if folder is not None]
    found = [folder.files for folder in (now.files.model, now.files.tokenizer) if folder is not None]
    return files == found and then == [(source.address, source.role, source.objects) for source in now.data]


def _inherit(earlier: Store, run: Store, point: StatePoint) -> None:
    """Have the plan, and the ledger up to the state; what is there already stays."""
    run.put_if_absent(PLAN, earlier.get(PLAN))
    worlds = Fence(earlier, 0).records()
    lines = [
        replace(line, world=EARLIER_WORLD)
        for line in read_ledger(earlier)
        if line.step <= point.step and is_valid(StatePoint(world=line.world, step=line.step), worlds)
    ]
    if lines:
        run.put_if_absent(name_of(StatePoint(world=EARLIER_WORLD, step=point.step)), to_text(lines))
