"""From a world that was entered to one that trains: plan, model, state, and the fence before the first step."""

import logging
from hashlib import sha256
from importlib.metadata import version

import torch
from torch import nn

from everstep_api.wire.ranks import PhaseBegun, Planned, StoreOpened
from everstep_trainer.context import JobContext
from everstep_trainer.entry import Entered
from everstep_trainer.errors import RefusedError, TrainerError
from everstep_trainer.model.assets import Assets, give_values
from everstep_trainer.model.build import build
from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.reduction import differing_ranks
from everstep_trainer.parallel.shard import shard
from everstep_trainer.plan import Plan, open_dealers
from everstep_trainer.planning import have_plan
from everstep_trainer.report import AgentLine
from everstep_trainer.schedule import LearningRate
from everstep_trainer.state.fence import Fence
from everstep_trainer.state.manifest import Counters
from everstep_trainer.state.restore import Restored, restore_newest
from everstep_trainer.state.retention import remove_old
from everstep_trainer.state.save import Origin, Saver
from everstep_trainer.state.tier import open_tier
from everstep_trainer.tasks.causal_lm import CausalLM
from everstep_trainer.training import NEVER_SAVED, Training

log = logging.getLogger(__name__)

_VERSIONED = ("everstep", "torch", "transformers", "peft")


class OfTwoMindsError(TrainerError):
    """The ranks of a world do not begin with the same state."""


def assemble(line: AgentLine, entered: Entered) -> Training:
    """Have everything that the first step needs, on all ranks alike; the world's beginning is then in the storage.

    Raises:
        RefusedError: the job cannot be done as it is written.
        FencedError: a later world has begun.
        OfTwoMindsError: the ranks hold different states.
    """
    context = entered.context
    _refuse_what_is_not_here(context)
    torch.use_deterministic_algorithms(context.recipe.deterministic)
    plan, assets = have_plan(context, lambda phase: line.tell(PhaseBegun(phase=phase)))
    if context.world.place.is_first:
        line.tell(Planned(total_steps=plan.total_steps, most_ranks=plan.most_ranks))
    dealers = open_dealers(plan, context)
    model = _build(context, plan, assets, is_restored=entered.beginning.newest is not None)
    optimizer = ShardedAdamW(
        model, betas=_pair(plan.hyperparameters.betas), weight_decay=plan.hyperparameters.weight_decay
    )
    restored = _take_up(entered, optimizer)
    counters = restored.counters if restored is not None else Counters(step=0, updates=0, next_row=0)
    if restored is None and entered.beginning.newest is not None:
        _begin_anew(context, assets, model, optimizer)
    _compare(context, plan, optimizer, counters)
    if context.world.place.is_first:
        _begin_world(line, entered, restored)
    saver = _saver(line, context, entered.fence, plan)
    for note in restored.ledger if restored is not None else ():
        saver.note(note)
    is_durable = restored is None or (restored.source.tier == "Durable" and entered.beginning.earlier is None)
    training = Training(
        context=context,
        plan=plan,
        assets=assets,
        dealers=dealers,
        model=model,
        optimizer=optimizer,
        learning_rate=LearningRate(
            greatest=plan.hyperparameters.learning_rate,
            schedule=context.recipe.schedule,
            total_steps=plan.total_steps,
        ),
        fence=entered.fence,
        saver=saver,
        line=line,
        counters=counters,
        saved_step=counters.step if is_durable else NEVER_SAVED,
        tier=open_tier(
            context,
            list(optimizer.state()),
            stem=entered.stem,
            resumed=restored.source.point if restored is not None else None,
            line=line,
        ),
    )
    if restored is not None and restored.source.tier == "Memory":
        training.hold_again()
    return training


def _refuse_what_is_not_here(context: JobContext) -> None:
    """Never do silently something else than was asked for."""
    if torch.cuda.is_available():
        raise RefusedError(
            f"This worker sees {torch.cuda.device_count()} GPUs, and this release computes on CPUs alone; take them out"
            " of spec.workers.resources."
        )
    if context.recipe.compile == "always":
        raise RefusedError("recipe.compile is always, and this release compiles on no CPU; write auto or never.")


def _build(context: JobContext, plan: Plan, assets: Assets, *, is_restored: bool) -> nn.Module:
    """The model, spread and filled; of a state that is restored, only what the checkpoint does not hold."""
    again = context.recipe.activation_checkpointing or plan.recompute  # no weights depend on it: the last word counts
    log.info("Builds the model: recomputes=%s", again)
    model = CausalLM(build(assets.config, context.recipe, again))
    shard(model, context.world, precision=context.recipe.precision)
    model.to_empty(device="cpu")
    give_values(model, assets, context.recipe, with_trained=not is_restored)
    return model.train()


def _take_up(entered: Entered, optimizer: ShardedAdamW) -> Restored | None:
    """Fill the state from the newest one that is whole; None for a beginning from nothing.

    Raises:
        RefusedError: there are checkpoints, and none is whole.
    """
    context, sources = entered.context, entered.sources()
    restored = restore_newest(sources, list(optimizer.state()), context.world)
    if restored is not None:
        optimizer.updates = restored.counters.updates
        resumed = entered.resumed(restored.source)
        log.info(
            "Resumed: world=%d step=%d from=%d tier=%s",
            context.world.place.world,
            resumed.step,
            resumed.world,
            resumed.tier,
        )
    elif entered.beginning.points:
        raise RefusedError(
            f"None of the {len(entered.beginning.points)} checkpoints under {context.run.uri}/ckpt is whole. Put the"
            " damaged objects back, or delete the job and its folder to begin anew."
        )
    return restored


def _begin_anew(context: JobContext, assets: Assets, model: nn.Module, optimizer: ShardedAdamW) -> None:
    """Fill the model as for a first world: memory alone held the work, and what it held is damaged."""
    log.error("No snapshot in memory is whole and there is no checkpoint yet, so the job begins anew.")
    give_values(model, assets, context.recipe, with_trained=True)
    optimizer.reset()


def _compare(context: JobContext, plan: Plan, optimizer: ShardedAdamW, counters: Counters) -> None:
    """Make sure that all ranks begin with the same state of the same model."""
    tensors = [(chunk.name, chunk.shape, chunk.dtype) for chunk, _ in optimizer.state()]
    fact = repr((counters, plan.recipe_hash, tensors)).encode()
    different = differing_ranks(fact, context.world)
    if different:
        raise OfTwoMindsError(
            f"{different} of {context.world.size} ranks hold another state than the others at step {counters.step} of"
            f" {len(tensors)} tensors. Make sure that all workers run the same image."
        )


def _begin_world(line: AgentLine, entered: Entered, restored: Restored | None) -> None:
    """Write down where this world goes on. No step is complete without rank 0, so none is before this."""
    resumed = entered.resumed(restored.source) if restored is not None else None
    if resumed != entered.beginning.newest:
        line.tell(StoreOpened(port=entered.port, resume=resumed))  # the agent was told of a newer one, which is damaged
    entered.fence.create(resumed)


def _saver(line: AgentLine, context: JobContext, fence: Fence, plan: Plan) -> Saver:
    world, recipe, keep = context.world, context.recipe, context.spec.checkpoint.keep
    origin = Origin(
        world=world.place.world,
        ranks=world.size // world.replicas,
        recipe_hash=plan.recipe_hash,
        plan_sha256=sha256(plan.to_json()).hexdigest(),
        versions={name: version(name) for name in _VERSIONED},
    )

    def tidy() -> None:
        metric = recipe.evaluation.best.metric
        remove_old(context.run, fence.records(), last=keep.last, best=keep.best, metric=metric)

    return Saver(
        run=context.run,
        fence=fence,
        origin=origin,
        rank=world.rank,
        folder=context.cache / "saves" / context.job.uid,
        committed=line.tell,
        tidy=tidy,
    )


def _pair(betas: tuple[float, ...]) -> tuple[float, float]:
    first, second = betas
    return first, second
