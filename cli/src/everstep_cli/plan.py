"""`everstep plan`: what a job would do, found out by the code that its first world plans with, before it costs a GPU.

Tokens are prepared and files of the model fetched into the user's cache, so that a second plan is quick. Nothing is
written into the job's storage. Start at `report.py` for what people see of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from everstep_api.job import TrainingJobSpec
from everstep_api.resolve import resolve
from everstep_api.resource import Manifest
from everstep_api.wire.ranks import Job
from everstep_api.wire.sync import Phase
from everstep_cli.job_options import JobError
from everstep_trainer.context import JobContext
from everstep_trainer.data.formats import Document
from everstep_trainer.data.masks import Tokenizer
from everstep_trainer.data.opening import open_packers
from everstep_trainer.derived import row_bytes
from everstep_trainer.errors import TrainerError
from everstep_trainer.model.assets import Assets
from everstep_trainer.model.build import DTYPES, build
from everstep_trainer.objects import Store
from everstep_trainer.parallel.world import Place, World
from everstep_trainer.plan import Plan
from everstep_trainer.planning import have_plan

SAMPLES = 3
_TRAINED_BYTES = 4 + 4 + 4 + 4
"""Of a weight that is trained: itself, its gradient and two moments, all in fp32."""

Sample = Sequence[tuple[str, bool]]
"""A document as text, in pieces of which the loss is taken or is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one rank needs, estimated."""

    trained: int
    """Weights that are trained, over all ranks."""
    frozen: int
    """Weights that are not."""
    state_bytes: int
    """This rank's share of weights, gradients and moments."""
    activation_bytes: int
    """What a backward pass keeps of a micro-batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job with its plan."""

    job: Manifest
    spec: TrainingJobSpec
    plan: Plan
    model_type: str
    memory: Memory
    samples: Sequence[Sample]


def make_plan(job: Manifest, cache: Path, say: Callable[[str], None]) -> Planned:
    """Plan the job on this machine.

    Raises:
        JobError: it cannot be done as it is written; the text is what the job would say when it fails.
    """
    spec = resolve(job["spec"], {}).spec
    try:
        with TemporaryDirectory(prefix="everstep-plan-") as scratch:
            context = _context(job, spec, cache, Path(scratch))
            plan, assets = have_plan(context, lambda phase: say(_DOING[phase]), with_weights=False)
            return Planned(
                job=job,
                spec=spec,
                plan=plan,
                model_type=assets.config.model_type,
                memory=memory_of(spec, plan, assets),
                samples=[sample_of(document, assets.tokenizer) for document in _documents(plan, context)],
            )
    except TrainerError as error:
        raise JobError(str(error)) from error


_DOING: Mapping[Phase, str] = {
    Phase.LOAD: "Reading the tokenizer and the model's configuration.",
    Phase.PREPARE: "Turning the data into tokens, as the job would; a second plan finds them.",
}


def _context(job: Manifest, spec: TrainingJobSpec, cache: Path, scratch: Path) -> JobContext:
    """The job as rank 0 of its first world sees it, but with folders of this machine for its storage."""
    metadata = job["metadata"]
    each = spec.workers.processes_per_worker
    place = Place(
        world=0, rank=0, size=1, local_rank=0, ranks_per_worker=each if each != "auto" else 1, host="127.0.0.1"
    )
    return JobContext(
        job=Job(namespace=metadata.get("namespace", "default"), name=metadata["name"], uid="plan"),
        manifest=spec.manifest(),
        spec=spec,
        storage=Store.at(str(cache / "storage")),
        run=Store.at(str(scratch)),
        cache=cache,
        world=World(place, None, None),
    )


def memory_of(spec: TrainingJobSpec, plan: Plan, assets: Assets) -> Memory:
    """What one rank needs when all workers are there; the model is built without its numbers."""
    recipe = spec.recipe
    trained = frozen = 0
    for weight in build(assets.config, recipe, plan.recompute).parameters():
        if weight.requires_grad:
            trained += weight.numel()
        else:
            frozen += weight.numel()
    each = spec.workers.processes_per_worker
    per_worker = each if each != "auto" else 1
    shares = {"full": spec.workers.replicas * per_worker, "hybrid": per_worker, "none": 1}[recipe.sharding]
    row = row_bytes(recipe, assets.config, plan.recompute, plan.row_length)
    return Memory(
        trained=trained,
        frozen=frozen,
        state_bytes=(trained * _TRAINED_BYTES + frozen * DTYPES[recipe.precision].itemsize) // shares,
        activation_bytes=int(row * plan.batches.micro_size),
    )


def _documents(plan: Plan, context: JobContext) -> Sequence[Document]:
    """The documents that are trained on first."""
    packers = open_packers(plan.sources, context.storage, context.cache, context.recipe, row_length=plan.row_length)
    rows = packers.training.window(0, 0).rows
    first = [number for row in rows[:SAMPLES] for number in row][:SAMPLES]
    return [packers.training.corpus.document(number) for number in first]


def sample_of(document: Document, tokenizer: Tokenizer) -> Sample:
    """The document as text. A character whose bytes lie on both sides of a border is shown as a replacement."""
    pieces: list[tuple[list[int], bool]] = []
    for token, counts in zip(document.tokens.tolist(), document.has_loss.tolist(), strict=True):
        if not pieces or pieces[-1][1] != counts:
            pieces.append(([], counts))
        pieces[-1][0].append(token)
    decoded: Any = tokenizer
    return [(str(decoded.decode(tokens)), counts) for tokens, counts in pieces]
