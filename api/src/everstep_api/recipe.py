"""What is trained on what, and how: the recipe of a job."""

from typing import Annotated, Literal

from pydantic import Field

from everstep_api.data import Data
from everstep_api.model import Model
from everstep_api.resource import Resource, absent, as_set, derived, same_weights
from everstep_api.rules import Rule, exactly_one_of
from everstep_api.values import Count, auto_or

Beta = Annotated[float, Field(ge=0, lt=1)]
Metric = Literal["loss", "perplexity", "tokenAccuracy"]


class Optimizer(Resource):
    """How gradients change weights."""

    name: Literal["adamw"] = "adamw"
    """Name of the optimizer; AdamW is the only one so far."""
    learning_rate: Annotated[
        float | None, Field(gt=0, le=1), derived("2e-4 with lora, 2e-5 for full fine-tuning, 3e-4 from random weights")
    ] = None
    """Highest learning rate; the schedule scales it."""
    betas: Annotated[
        tuple[Beta, ...] | None,
        Field(min_length=2, max_length=2),
        derived("[0.9, 0.999], from random weights [0.9, 0.95]"),
    ] = None
    """Decay rates of the first and second moment, each from 0 to below 1."""
    weight_decay: Annotated[float | None, Field(ge=0, le=10), derived("0, from random weights 0.1")] = None
    """Decay of the weights, decoupled from the gradient."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients with a larger norm are clipped to this norm."""


class Warmup(Resource):
    """The steps in which the learning rate rises from 0; exactly one of the two."""

    one_of = ("ratio", "steps")
    guards = (exactly_one_of(*one_of),)

    ratio: Annotated[float | None, Field(ge=0, lt=1), absent("steps is given")] = None
    """Share of all steps, from 0 to below 1."""
    steps: Annotated[int | None, Field(ge=0), absent("ratio is given")] = None
    """Number of steps."""


class Schedule(Resource):
    """The learning rate over the steps."""

    type: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warmup."""
    warmup: Warmup = Warmup(ratio=0.03)
    """The rise at the beginning: exactly one of ratio, steps."""
    min_learning_rate_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """The final learning rate as a share of the highest; it has no effect when the type is constant."""


class Batch(Resource):
    """How many rows make up a step, whatever the number of workers."""

    guards = (
        Rule.of(
            "!has(self.size) || !has(self.microSize) || type(self.microSize) != int || self.size % self.microSize == 0",
            holds=lambda batch: batch.size is None or batch.micro_size == "auto" or batch.size % batch.micro_size == 0,
            says="size is %d, which is not a multiple of microSize %s; choose a multiple of it",
            shows=["size", "microSize"],
            at=".size",
        ),
    )

    size: Annotated[
        Count | None,
        derived("64, halved until an epoch has 100 steps, but no fewer than the ranks of spec.workers.replicas"),
    ] = None
    """Rows in one step, over all workers."""
    micro_size: Annotated[int | Literal["auto"], auto_or("rows")] = "auto"
    """Rows that one rank computes at a time. Write a whole number, or `auto` for as many as fit into its memory while
    each rank of spec.workers.replicas has some."""


class Duration(Resource):
    """How long to train; exactly one of the three."""

    one_of = ("epochs", "steps", "tokens")
    guards = (exactly_one_of(*one_of),)

    epochs: Annotated[Count | None, absent("steps or tokens is given")] = None
    """Passes over the data."""
    steps: Annotated[Count | None, absent("epochs or tokens is given")] = None
    """Steps of the optimizer."""
    tokens: Annotated[Count | None, absent("epochs or steps is given")] = None
    """Tokens without padding; the last step may exceed the number."""


class Best(Resource):
    """Which checkpoint is the best."""

    metric: Metric = "loss"
    """The metric that decides: the lowest loss or perplexity, or the highest tokenAccuracy."""


class Evaluation(Resource):
    """How often the model is evaluated on the held-out data, and by which metrics."""

    guards = (
        Rule.of(
            "!has(self.metrics) || !has(self.best) || !has(self.best.metric) || self.best.metric in self.metrics",
            holds=lambda evaluation: evaluation.best.metric in evaluation.metrics,
            says="best.metric is %s, which is not computed; add it to metrics",
            shows=["best.metric"],
            at=".metrics",
        ),
    )

    every_steps: Count = 200
    """Steps from one evaluation to the next; there is always one at the end."""
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1, max_length=3), as_set] = (
        "loss",
        "perplexity",
        "tokenAccuracy",
    )
    """Metrics that are computed on the held-out data."""
    best: Best = Best()
    """Which checkpoint counts as the best."""


class Recipe(Resource):
    """What is trained on what, and how. It never changes once the job exists."""

    guards = (
        Rule.of(
            "!has(self.schedule) || !has(self.schedule.warmup) || !has(self.schedule.warmup.steps)"
            " || !has(self.duration) || !has(self.duration.steps) || self.schedule.warmup.steps < self.duration.steps",
            holds=lambda recipe: (
                recipe.schedule.warmup.steps is None
                or recipe.duration.steps is None
                or recipe.schedule.warmup.steps < recipe.duration.steps
            ),
            says="schedule.warmup.steps is %d but duration.steps is %d; use fewer steps for the warmup",
            shows=["schedule.warmup.steps", "duration.steps"],
            at=".schedule",
        ),
    )

    task: Annotated[Literal["causal-lm"] | None, derived("the task of the model's architecture")] = None
    """What the model learns: `causal-lm`, to continue a text."""
    model: Model
    """The model: exactly one of source and config, with tokenizer, chat template and adapters."""
    data: Data
    """The documents, which of them are held out, and how they become rows of tokens."""
    optimizer: Optimizer = Optimizer()
    """How gradients change weights."""
    schedule: Schedule = Schedule()
    """The learning rate over the steps."""
    batch: Batch = Batch()
    """How many rows make up a step."""
    duration: Duration = Duration(epochs=1)
    """How long to train: exactly one of epochs, steps, tokens."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Number format of the computation. Trained weights and sums of gradients are in fp32 in either case."""
    sharding: Annotated[Literal["full", "hybrid", "none"], same_weights] = "full"
    """How weights are spread: over all ranks (`full`), over the ranks of each worker (`hybrid`), or not at all
    (`none`)."""
    activation_checkpointing: Annotated[
        Literal["selective", "full", "none"] | None,
        same_weights,
        derived("`none` on CPUs whose memory suffices for it, else `selective`"),
    ] = None
    """Which intermediate results are computed again instead of being kept in memory."""
    compile: Annotated[Literal["auto", "always", "never"], same_weights] = "auto"
    """Whether the model's blocks are compiled; `auto` compiles them on GPUs."""
    evaluation: Annotated[Evaluation, same_weights] = Evaluation()
    """How often the model is evaluated on the held-out data, and by which metrics."""
    log_every_steps: Annotated[Count, same_weights] = 10
    """Steps from one log line with the loss to the next."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 42
    """Seed of everything random: weights, order of the data, dropout."""
    deterministic: Annotated[bool, same_weights] = False
    """Whether two runs with the same number of workers give the same bits, which costs speed."""
