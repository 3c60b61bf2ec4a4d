"""Makes the plan of a job, with all ranks of its first world; refuses, with numbers, what cannot be trained.

Rank 0 resolves what is read and tells the others, all prepare tokens, rank 0 counts rows and puts `plan.json`. Two
worlds that plan at once agree on the one that was put first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from everstep_api.data import Source
from everstep_api.digests import recipe_hash
from everstep_api.recipe import Recipe
from everstep_api.wire.decode import decode, encode
from everstep_api.wire.sync import Phase
from everstep_trainer.context import JobContext
from everstep_trainer.counting import count_rows, count_training
from everstep_trainer.data.formats import Format, format_of
from everstep_trainer.data.masks import Chats
from everstep_trainer.data.opening import STORES, PlannedSource, Role, open_packers
from everstep_trainer.data.prepare import Maker, Preparation, tokenizer_digest
from everstep_trainer.data.sources import SourceObject, line_number, parse, read_lines, resolve, split
from everstep_trainer.derived import (
    batches,
    busy_rows,
    hyperparameters,
    memory_of_rank,
    recompute,
    row_length,
    rows_that_fit,
)
from everstep_trainer.errors import DamagedError, DeniedError, MalformedRecordError, RefusedError
from everstep_trainer.model.assets import Assets, Sources, load, resolve_sources
from everstep_trainer.model.build import most_positions
from everstep_trainer.model.trial import try_loss
from everstep_trainer.objects import Store
from everstep_trainer.plan import FORMAT, PLAN, Plan

_PATIENCE = 3
"""Phases before the first step may take so many times `recovery.stepTimeoutSeconds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSource:
    """A source of the recipe with the objects that it names."""

    address: str
    role: Role
    weight: float
    folder: str
    objects: tuple[SourceObject, ...]
    format: Format
    field: str
    max_samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """All that is read, as it was when the job first started."""

    files: Sources
    data: tuple[ResolvedSource, ...]


def have_plan(context: JobContext, begin: Callable[[Phase], None], *, with_weights: bool = True) -> tuple[Plan, Assets]:
    """Read the job's plan, or make it with all ranks of the world; and have the model's files on this worker.

    Args:
        context: Whose plan.
        begin: Is told of each phase.
        with_weights: False to make a plan that nobody trains by: the weights stay where they are.

    Raises:
        RefusedError: the job cannot be done as it is written; the sentence says what to change.
        DamagedError: this worker has other files than the plan says.
    """
    begin(Phase.LOAD)
    stored = _tell(context, "plan found", lambda: context.run.find(PLAN) or b"")
    if stored:
        plan = Plan.from_json(stored)
        assets = load(plan.files, context.recipe, context.cache)
    else:
        plan, assets = _make(context, begin, with_weights=with_weights)
    different = sorted(name for name in plan.sha256 if assets.sha256.get(name) != plan.sha256[name])
    if different:
        raise DamagedError(
            f"The file {different[0]} has sha256 {assets.sha256.get(different[0])} on this worker, but the plan has"
            f" {plan.sha256[different[0]]}."
        )
    return plan, assets


def _make(context: JobContext, begin: Callable[[Phase], None], *, with_weights: bool) -> tuple[Plan, Assets]:
    recipe = context.recipe
    told = _tell(context, "resolution", lambda: encode(resolve_all(recipe)))
    resolution: Resolution = decode(told, Resolution)
    files = resolution.files if with_weights else resolution.files.without_weights()
    assets = load(files, recipe, context.cache)
    if context.world.place.is_first:
        try_loss(assets.config)
    length = row_length(recipe, most_positions(assets.config))
    preparations = [_preparation(source, recipe, assets, length) for source in resolution.data]
    begin(Phase.PREPARE)
    stores = context.storage.under(STORES)
    makers = [Maker(preparation, stores, assets.tokenizer) for preparation in preparations]
    for maker in makers:
        maker.make(rank=context.world.rank, size=context.world.size)
    context.world.all_reduce(torch.zeros(1))  # returns once every rank has made its share

    def write() -> bytes:
        sources = [
            _planned(source, maker, preparation)
            for source, maker, preparation in zip(resolution.data, makers, preparations, strict=True)
        ]
        plan = _plan(context, files, assets, tuple(sources), length)
        context.run.put_if_absent(PLAN, plan.to_json())
        return context.run.get(PLAN)

    return Plan.from_json(_tell(context, "plan", write)), assets


def _tell(context: JobContext, topic: str, say: Callable[[], bytes]) -> bytes:
    timeout_s = _PATIENCE * context.spec.recovery.step_timeout_seconds
    return context.world.tell(topic, say, timeout_s=timeout_s)


def resolve_all(recipe: Recipe) -> Resolution:
    """List the files and the data that the recipe names.

    Raises:
        RefusedError: something is not there, or cannot be read.
    """
    try:
        return _resolution(recipe)
    except DeniedError as error:
        raise error.refused() from error


def _resolution(recipe: Recipe) -> Resolution:
    data = recipe.data
    sources = [
        *(_resolved(source, "train", source.weight) for source in data.train),
        *(_resolved(source, "validation", 1.0) for source in data.validation.sources or ()),
    ]
    return Resolution(files=resolve_sources(recipe), data=tuple(sources))


def _resolved(source: Source, role: Role, weight: float) -> ResolvedSource:
    folder, objects = resolve(source.source)
    format_ = source.format or _first_format(source, folder, objects)
    return ResolvedSource(
        address=source.source,
        role=role,
        weight=weight,
        folder=folder,
        objects=objects,
        format=format_,
        field=source.fields.messages if format_ == "chat" else source.fields.text,
        max_samples=source.max_samples,
    )


def _first_format(source: Source, folder: str, objects: tuple[SourceObject, ...]) -> Format:
    """The format of the source's first record."""
    store = Store.at(folder)
    for span in (span for part in split(objects) for span in part):
        for line in read_lines(store, span):
            try:
                return format_of(parse(line.content), source.fields)
            except MalformedRecordError as error:
                number = line_number(store, span.found, line.offset)
                raise RefusedError(f"Line {number} of {folder}/{span.found.name} {error}.") from error
    raise RefusedError(f"{source.source} has blank lines alone; put records into it, one JSON object a line.")


def _preparation(source: ResolvedSource, recipe: Recipe, assets: Assets, length: int) -> Preparation:
    loss_on = recipe.data.loss_on or ("assistant" if source.format == "chat" else "all")
    if source.format == "text" and loss_on == "assistant":
        raise RefusedError(
            f"recipe.data.lossOn is assistant, but {source.address} holds texts, in which nobody speaks; write all, or"
            " remove it."
        )
    template = assets.template if source.format == "chat" else None
    if source.format == "chat":
        if template is None:
            raise RefusedError(
                f"{source.address} holds chats, but the tokenizer has no chat template; write one as"
                " recipe.model.chatTemplate.inline."
            )
        if loss_on == "assistant":
            _try_template(assets, template)
    return Preparation(
        folder=source.folder,
        objects=source.objects,
        format=source.format,
        field=source.field,
        loss_on=loss_on,
        max_length=length,
        on_too_long=recipe.data.on_too_long,
        max_samples=source.max_samples,
        tokenizer_digest=tokenizer_digest(assets.tokenizer),
        template=template,
    )


def _try_template(assets: Assets, template: str) -> None:
    try:
        Chats(assets.tokenizer, template).try_mask()
    except MalformedRecordError as error:
        raise RefusedError(f"An example of two questions and answers {error}; or set recipe.data.lossOn to all.") from (
            error
        )


def _planned(source: ResolvedSource, maker: Maker, preparation: Preparation) -> PlannedSource:
    index = maker.index()
    return PlannedSource(
        address=source.address,
        role=source.role,
        weight=source.weight,
        preparation=preparation,
        documents=index.documents,
        counts=index.counts,
    )


def _plan(context: JobContext, files: Sources, assets: Assets, sources: tuple[PlannedSource, ...], length: int) -> Plan:
    recipe, place = context.recipe, context.world.place
    packers = open_packers(sources, context.storage, context.cache, recipe, row_length=length)
    ranks = context.spec.workers.replicas * place.ranks_per_worker
    rows_in_epoch = sum(len(window.rows) for window in packers.training.epoch(0))
    memory = memory_of_rank(ranks_per_worker=place.ranks_per_worker, ranks=ranks)
    wanted = batches(recipe, rows_in_epoch=rows_in_epoch, ranks=ranks, rows_that_fit=busy_rows(length))
    again = recompute(recipe, assets.config, rows=wanted.micro_size, row_length=length, ranks_memory_bytes=memory)
    fitting = rows_that_fit(recipe, assets.config, again, row_length=length, ranks_memory_bytes=memory)
    cut = batches(recipe, rows_in_epoch=rows_in_epoch, ranks=ranks, rows_that_fit=fitting)
    training = count_training(packers.training, recipe, cut)
    validation = packers.validation
    return Plan(
        format=FORMAT,
        recipe_hash=recipe_hash(recipe),
        files=files,
        sha256=assets.sha256,
        sources=sources,
        row_length=length,
        hyperparameters=hyperparameters(recipe),
        batches=cut,
        recompute=again,
        training=training,
        validation=count_rows(validation, [list(validation.epoch(0))]) if validation is not None else None,
        total_steps=-(-training.rows // cut.size),
    )
