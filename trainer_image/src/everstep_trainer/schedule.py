"""The learning rate as a function of the step alone, so that no world needs the memory of another."""

import math
from dataclasses import dataclass

from everstep_api.recipe import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """The learning rate of each step, from 1 to `total_steps`."""

    greatest: float
    schedule: Schedule
    total_steps: int

    @property
    def warmup_steps(self) -> int:
        """Steps in which the rate rises; the last of them has the greatest rate."""
        warmup = self.schedule.warmup
        if warmup.steps is not None:
            return min(warmup.steps, self.total_steps)
        return math.ceil((warmup.ratio or 0.0) * self.total_steps)

    def at(self, step: int) -> float:
        """The rate by which step number `step` changes the weights; the last step has the least."""
        if step <= self.warmup_steps:
            return self.greatest * step / self.warmup_steps
        gone = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        return self.greatest * self._share(gone)

    def _share(self, gone: float) -> float:
        least = self.schedule.min_learning_rate_ratio
        match self.schedule.type:
            case "constant":
                return 1.0
            case "linear":
                return 1.0 - (1.0 - least) * gone
            case "cosine":
                return least + (1.0 - least) * (1.0 + math.cos(math.pi * gone)) / 2
