"""What one rank holds while its world trains, and what it does in a step and between two."""

import logging
from dataclasses import dataclass, field, replace
from time import monotonic

import torch
from torch import nn

from everstep_api.wire.ranks import EvaluationMade, Left, PhaseBegun, Stepped
from everstep_api.wire.sync import Evaluated, Phase
from everstep_trainer.context import JobContext
from everstep_trainer.data.deal import Dealer
from everstep_trainer.data.ledger import Line
from everstep_trainer.device import most_device_bytes
from everstep_trainer.errors import StorageError, TrainerError
from everstep_trainer.evaluate import evaluate, penalty
from everstep_trainer.model.assets import Assets
from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.plan import Dealers, Plan
from everstep_trainer.report import AgentLine
from everstep_trainer.schedule import LearningRate
from everstep_trainer.state.fence import Fence
from everstep_trainer.state.manifest import Counters
from everstep_trainer.state.memory import Kept
from everstep_trainer.state.save import Saver
from everstep_trainer.state.tier import Tier
from everstep_trainer.step import Outcome, Wish, Work, take_step
from everstep_trainer.tasks.causal_lm import loss_of, sums_of

log = logging.getLogger(__name__)

MOST_SKIPPED_IN_A_ROW = 3
"""One bad step is a bad row; as many in a row are a model that is lost."""

NEVER_SAVED = -1
"""The step of the newest saved state of a job that has none."""


class DivergedError(TrainerError):
    """The numbers of several steps in a row were none."""


@dataclass(slots=True, kw_only=True)
class Training:
    """A rank's part of a world at work. All ranks call the same methods in the same order."""

    context: JobContext
    plan: Plan
    assets: Assets
    dealers: Dealers
    model: nn.Module
    optimizer: ShardedAdamW
    learning_rate: LearningRate
    fence: Fence
    saver: Saver
    line: AgentLine
    counters: Counters
    saved_step: int
    """The step of the newest state that was saved, or taken up."""
    saved_s: float = field(default_factory=monotonic)
    skipped_in_a_row: int = 0
    tier: Tier
    """The snapshots in memory."""
    step_s: float = 0.0
    """Seconds of the step before."""

    @property
    def is_over(self) -> bool:
        """Whether all steps of the plan are done."""
        return self.counters.step >= self.plan.total_steps

    def begin(self, phase: Phase) -> None:
        """Tell what is done from now on."""
        self.line.tell(PhaseBegun(phase=phase))

    def take_step(self) -> Outcome:
        """Learn from the next rows of the plan.

        Raises:
            DivergedError: the numbers were none once too often.
            FencedError: a later world exists.
        """
        self.saver.check()
        begin = monotonic()
        step = self.counters.step + 1
        work = self.dealers.training.step(step)
        waited_s = monotonic() - begin
        rate = self.learning_rate.at(step)
        outcome = take_step(
            self.model,
            self.optimizer,
            loss_of,
            work,
            wish=self._wish(step),
            world=self.context.world,
            seed=self.context.recipe.seed,
            learning_rate=rate,
            longest_gradient=self.context.recipe.optimizer.max_grad_norm,
        )
        self._count(work, outcome)
        self.step_s = monotonic() - begin
        self._tell(outcome, seconds=monotonic() - begin, waited_s=waited_s, rate=rate)
        return outcome

    def evaluate_before(self) -> None:
        """Evaluate the held-out data before the first step of the job, whose last evaluation is compared with it."""
        if self.dealers.validation is not None and self.counters.step == 0:
            self.counters = replace(self.counters, before=self._evaluate(self.dealers.validation))

    def evaluate_if_due(self) -> bool:
        """Evaluate the held-out data when it is time; return whether a trained model was never better."""
        held_out = self.dealers.validation
        wanted = self.context.recipe.evaluation
        if held_out is None or not (self.counters.step % wanted.every_steps == 0 or self.is_over):
            return False
        made = self._evaluate(held_out)
        metric = wanted.best.metric
        best = self.counters.best
        before = best.metrics.get(metric) if best is not None else None  # None too where another one decided so far
        is_best = before is None or penalty(metric, made.metrics[metric]) < penalty(metric, before)
        self.counters = replace(self.counters, evaluation=made, best=made if is_best else best)
        self.begin(Phase.TRAIN)
        return is_best

    def is_save_due(self, outcome: Outcome) -> bool:
        """Whether all ranks save now: a regular one is left out while the one before is still on its way."""
        if outcome.save and outcome.uploading and not (self.is_over or outcome.stop):
            log.warning("A checkpoint is due at step %d while the one before is on its way.", self.counters.step)
            return False
        return outcome.save or outcome.stop_durably

    def save(self) -> None:
        """Take the state; it reaches the storage while training goes on."""
        self.begin(Phase.SAVE)
        self.saver.save(self.optimizer.state(), self.counters)
        self.saved_step = self.counters.step
        self.saved_s = monotonic()
        self.begin(Phase.TRAIN)

    def snapshot_if_due(self, outcome: Outcome) -> None:
        """Have the workers' memory hold the state when it is time."""
        self.saver.forget_lines(int(outcome.holding.recorded_step))
        self.tier.take_if_due(self.counters.step, outcome.holding, self._kept)

    def hold_again(self) -> None:
        """Have the state that came from memory held by the workers of this world, too: it may have one holder alone."""
        self.tier.take(self.counters.step, self._kept())

    def leave(self, outcome: Outcome) -> None:
        """Leave the world after this step, with the state held in memory, or in the storage where that was asked for.

        Raises:
            StorageError: the state is not in memory everywhere, and did not get into the storage.
        """
        if outcome.stop_durably or not self.tier.hold(self.counters.step, self._kept):
            self.make_sure_of_last_save()
        self.line.tell(Left(step=self.counters.step))

    def make_sure_of_last_save(self) -> None:
        """Wait until the state of this very step is committed, on all ranks.

        Raises:
            StorageError: it did not reach the storage.
        """
        self.begin(Phase.SAVE)
        if self.saved_step != self.counters.step:
            self.saver.save(self.optimizer.state(), self.counters)
        failed = torch.tensor([not self.saver.wait()], dtype=torch.float64)
        if self.context.world.all_reduce(failed).item() > 0:
            raise StorageError(f"The state of step {self.counters.step} did not reach {self.context.run.uri}.")

    def _evaluate(self, held_out: Dealer) -> Evaluated:
        self.begin(Phase.EVALUATE)
        step, wanted = self.counters.step, self.context.recipe.evaluation
        names = list(dict.fromkeys((*wanted.metrics, wanted.best.metric)))
        metrics = evaluate(self.model, held_out.everything(), sums_of, world=self.context.world, metrics=names)
        if self.context.world.place.is_first:
            self.line.tell(EvaluationMade(step=step, metrics=metrics))
            log.info("Evaluated: step=%d %s", step, " ".join(f"{name}={value:.4f}" for name, value in metrics.items()))
        return Evaluated(step=step, metrics=metrics)

    def _wish(self, step: int) -> Wish:
        stop = self.line.stop
        every = self.context.spec.checkpoint
        is_late = self.context.world.place.is_first and monotonic() - self.saved_s >= every.every_seconds
        return Wish(
            stop=stop is not None,
            stop_durably=stop is not None and stop.durable,
            save=is_late or step % every.every_steps == 0 or step == self.plan.total_steps,
            uploading=self.saver.is_busy,
            holding=self.tier.holding(step_s=self.step_s, recorded_step=self.saver.recorded_step),
        )

    def _kept(self) -> Kept:
        return Kept(counters=self.counters, ledger=self.saver.unrecorded)

    def _count(self, work: Work, outcome: Outcome) -> None:
        counters = self.counters
        self.skipped_in_a_row = 0 if outcome.is_applied else self.skipped_in_a_row + 1
        skipped = () if outcome.is_applied else ((work.rows[0], work.rows[-1] + 1),)
        self.counters = replace(
            counters,
            step=work.step,
            updates=counters.updates + outcome.is_applied,
            next_row=work.rows[-1] + 1,
            skipped=counters.skipped + skipped,
            tokens=counters.tokens + self.dealers.training.tokens(work.step),
        )
        self.saver.note(
            Line(
                step=work.step,
                world=self.context.world.place.world,
                rows=(work.rows[0], work.rows[-1] + 1),
                targets=work.targets,
                digest=outcome.rows_digest,
                is_skipped=not outcome.is_applied,
            )
        )
        if self.skipped_in_a_row == 0:
            return
        log.warning("Step %d was skipped on all ranks: its loss or gradient is no finite number.", work.step)
        if self.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
            raise DivergedError(
                f"Loss or gradient were no finite numbers in {self.skipped_in_a_row} steps in a row, up to step"
                f" {work.step}. Lower recipe.optimizer.learningRate, or look at these rows of the data."
            )

    def _tell(self, outcome: Outcome, *, seconds: float, waited_s: float, rate: float) -> None:
        step = self.counters.step
        own = Stepped(step=step, seconds=seconds, data_wait_seconds=waited_s, device_bytes=most_device_bytes())
        if not self.context.world.place.is_first:
            self.line.tell(own)
            return
        tokens = self.dealers.training.tokens(step)
        self.line.tell(
            replace(own, loss=outcome.loss, tokens=tokens, learning_rate=rate, gradient_norm=outcome.gradient_norm)
        )
        if step % self.context.recipe.log_every_steps == 0 or self.is_over:
            log.info(
                "Trained: step=%d/%d loss=%.4f learning_rate=%.3g gradient_norm=%.3f tokens_per_second=%.0f",
                step,
                self.plan.total_steps,
                outcome.loss,
                rate,
                outcome.gradient_norm,
                tokens / seconds,
            )
