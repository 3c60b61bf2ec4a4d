"""A plan for people: what is trained on what, every value with where it comes from, and what the model sees. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from everstep_api.fields import Path, dotted
from everstep_api.origin import place_in
from everstep_api.resource import Manifest
from everstep_cli.plan import Memory, Planned, Sample

Where = Literal["job", "default", "derived"]
LONGEST_SAMPLE = 1200
"""Characters that are shown of a document."""

_OPEN, _CLOSE = "⟦", "⟧"
_LEARNT = "green"


def facts(planned: Planned) -> Iterator[str]:
    """What the job would do, in sentences."""
    plan, spec = planned.plan, planned.spec
    kind = "random weights" if spec.recipe.model.config is not None else str(spec.recipe.model.source)
    adapters = " with adapters (LoRA)" if spec.recipe.model.lora is not None else ""
    yield f"Model: {planned.model_type} from {kind}{adapters}; {_weights(planned.memory)}."
    for source in plan.sources:
        yield (
            f"{'Training' if source.role == 'train' else 'Held out'}: {source.documents:,} documents of"
            f" {source.counts.records:,} records in {source.address}{_left_out(source.counts)}."
        )
    rows = plan.training
    full = rows.tokens / (rows.rows * plan.row_length)
    yield (
        f"Rows: {rows.rows:,} of {plan.row_length:,} tokens, {full:.0%} full: {rows.tokens:,} tokens, of which"
        f" {rows.targets:,} are learnt."
    )
    if plan.validation is not None:
        held = plan.validation
        yield f"Held-out rows: {held.rows:,}, with {held.tokens:,} tokens, of which {held.targets:,} are predicted."
    size, micro = plan.batches.size, plan.batches.micro_size
    yield f"Steps: {plan.total_steps:,} of {size} rows, {micro} at a time; {plan.most_ranks} ranks can share a step."
    memory = planned.memory
    yield (
        f"Memory of a rank, estimated: {_size(memory.state_bytes)} for weights, gradients and moments, and"
        f" {_size(memory.activation_bytes)} for the activations of a micro-batch."
    )


def values(planned: Planned) -> Table:
    """The recipe's values as they hold, each with its origin."""
    table = Table("field", "value", "from", box=None, pad_edge=False)
    merged = planned.spec.manifest()
    for path, value in _decided(planned):
        table.add_row(dotted(("spec", *path)), str(value), origin_of(planned.job["spec"], merged, path))
    return table


def origin_of(job: Manifest, merged: Manifest, path: Path) -> Where:
    """Whether the job says it, or nobody does and it has a default, or follows from model and data."""
    if place_in(job, merged, path) is not None:
        return "job"
    value: Any = merged
    try:
        for step in path:
            value = value[step]
    except (KeyError, IndexError):
        return "derived"
    return "derived" if value == "auto" else "default"


def _decided(planned: Planned) -> Sequence[tuple[Path, Any]]:
    recipe, plan = planned.spec.recipe, planned.plan
    optimizer, duration = plan.hyperparameters, recipe.duration
    formats = sorted({source.preparation.format for source in plan.sources})
    losses = sorted({source.preparation.loss_on for source in plan.sources})
    length = next(
        (name, value)
        for name, value in (("epochs", duration.epochs), ("steps", duration.steps), ("tokens", duration.tokens))
        if value is not None
    )
    return [
        (("recipe", "task"), "causal-lm"),
        (("recipe", "data", "train", 0, "format"), ", ".join(formats)),
        (("recipe", "data", "lossOn"), ", ".join(losses)),
        (("recipe", "data", "maxLength"), plan.row_length),
        (("recipe", "data", "packing"), recipe.data.packing),
        (("recipe", "batch", "size"), plan.batches.size),
        (("recipe", "batch", "microSize"), plan.batches.micro_size),
        (("recipe", "duration", length[0]), length[1]),
        (("recipe", "optimizer", "learningRate"), optimizer.learning_rate),
        (("recipe", "optimizer", "betas"), list(optimizer.betas)),
        (("recipe", "optimizer", "weightDecay"), optimizer.weight_decay),
        (("recipe", "schedule", "type"), recipe.schedule.type),
        (("recipe", "precision"), recipe.precision),
        (("recipe", "sharding"), recipe.sharding),
        (("recipe", "activationCheckpointing"), plan.recompute),
        (("recipe", "evaluation", "everySteps"), recipe.evaluation.every_steps),
        (("recipe", "seed"), recipe.seed),
    ]


def rendered(sample: Sample, *, in_colour: bool) -> Text:
    """A document as the model reads it; what it learns is green, or stands in brackets where there are no colours."""
    text = Text()
    for piece, is_learnt in sample:
        if not is_learnt:
            text.append(piece)
        elif in_colour:
            text.append(piece, style=_LEARNT)
        else:
            text.append(f"{_OPEN}{piece}{_CLOSE}")
    if len(text) > LONGEST_SAMPLE:
        text.truncate(LONGEST_SAMPLE)
        text.append(" …")
    return text


def _weights(memory: Memory) -> str:
    total = f"{memory.trained + memory.frozen:,} weights"
    return f"{total}, all of them trained" if not memory.frozen else f"{total}, of which {memory.trained:,} are trained"


def _left_out(counts: Any) -> str:
    parts = [
        f"{counts.shortened:,} cut off" if counts.shortened else "",
        f"{counts.too_long:,} too long" if counts.too_long else "",
        f"{counts.without_targets:,} without anything to learn" if counts.without_targets else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def _size(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:  # noqa: PLR2004 - a thousand of each make one of the next
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def show(planned: Planned, console: Console) -> None:
    """Print the whole plan."""
    for sentence in facts(planned):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    console.print()
    console.print(values(planned))
    in_colour = console.color_system is not None
    marked = "green" if in_colour else f"in {_OPEN} {_CLOSE}"
    for number, sample in enumerate(planned.samples, start=1):
        console.print(f"\nSample {number}; what is learnt is {marked}:", style="bold", highlight=False, markup=False)
        console.print(rendered(sample, in_colour=in_colour), soft_wrap=True)
