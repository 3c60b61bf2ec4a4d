"""The memory tier of one rank: when a snapshot is taken, and from when on the one before may go.

All ranks decide by the same numbers, those of the step's reduction. So they take the same snapshots, and one that each
of them knows to be held everywhere is committed: only then is the file overwritten that holds the one before.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import torch

from everstep_api.wire.ranks import Held, TierTold
from everstep_api.wire.sync import MemoryTier, StatePoint
from everstep_trainer.context import JobContext
from everstep_trainer.parallel.reduction import Holding
from everstep_trainer.parallel.world import World
from everstep_trainer.report import AgentLine
from everstep_trainer.state.memory import Kept
from everstep_trainer.state.restore import State
from everstep_trainer.state.room import room_bytes
from everstep_trainer.state.snapshot import Owner, Snapshots

log = logging.getLogger(__name__)

GREATEST_COST = 0.01
"""Share of the time that `auto` spends on snapshots."""
_SMOOTHING = 0.3
"""Weight of the newest snapshot's cost in the mean: one that was disturbed does not change the interval by much."""
_WORTH_TELLING = 1.25
_FILES = 2
_MIB = 1024 * 1024
_PATIENCE_S = 15.0
"""How long a rank that leaves waits for its buddies; they take a gigabyte in 2 s. Then the storage has to do."""


class Files(Protocol):
    """What takes the snapshots, `state.snapshot`."""

    def take(self, step: int, kept: Kept) -> float:
        """Take one; return what one costs, in seconds. Raises `OSError`."""

    def keep_last(self) -> None:
        """Let the one before the last be overwritten."""

    def check(self) -> None:
        """Learn whether the last one could be finished. Raises `OSError`."""


class Line(Protocol):
    """The agent, as far as the tier needs it."""

    def held(self, step: int, *, within_s: float = 0.0) -> Held | None:
        """What the agent says of the snapshot of the step, once it does."""

    def tell(self, message: TierTold) -> None:
        """Say it."""


@dataclass(slots=True, kw_only=True)
class Tier:
    """Which steps' states the ranks of a world hold in memory."""

    world: World
    line: Line
    files: Files | None
    """None for a rank whose part another replica on this worker writes."""
    every: int | Literal["auto"]
    """Steps from one to the next."""
    last_step: int | None = None
    """Of the last snapshot that was asked for."""
    committed_step: int | None = None
    skipped: int = 0
    """Snapshots that were due while the one before was on its way."""
    cost_s: float = 0.0
    told: int | None = None
    is_broken: bool = False
    """Whether the last one could not be written here."""
    is_on: bool = True
    """Whether any are taken at all; the same on all ranks."""

    def holding(self, *, step_s: float, recorded_step: int) -> Holding:
        """What this rank adds to the step's reduction."""
        if not self.is_on:
            return Holding(recorded_step=recorded_step)
        held = self._held(within_s=0.0)
        return Holding(
            settled=held is not None,
            held=held is not None and held.is_held,
            snapshot_seconds=self.cost_s,
            step_seconds=step_s,
            recorded_step=recorded_step,
        )

    def take_if_due(self, step: int, of_all: Holding, kept: Callable[[], Kept]) -> None:
        """After a step: take note of what all ranks hold, and take a snapshot when it is time."""
        if not self.is_on:
            return
        self._commit(of_all)
        every = self._every(of_all)
        self._tell(every)
        if self.last_step is not None and step - self.last_step < every:
            return
        if of_all.settled < self.world.size:
            self.skipped += 1
            if self.skipped & (self.skipped - 1) == 0:
                log.info("A snapshot is due while the one before is on its way: step=%d skipped=%d", step, self.skipped)
            return
        self.take(step, kept())

    def hold(self, step: int, kept: Callable[[], Kept]) -> bool:
        """Have the state of this very step held in memory by all who shall hold it; the same answer on all ranks."""
        if not self.is_on:
            return False
        if self.last_step != step:
            of_all = self._agree()
            if of_all.settled < self.world.size:
                return False
            self._commit(of_all)
            self.take(step, kept())
        of_all = self._agree()
        self._commit(of_all)
        return of_all.held == self.world.size

    def _agree(self) -> Holding:
        """Wait for the buddies, then hear how all ranks stand."""
        self._held(within_s=_PATIENCE_S)
        own = self.holding(step_s=0.0, recorded_step=0)
        settled, held = self.world.all_reduce(torch.tensor([own.settled, own.held], dtype=torch.float64)).tolist()
        return replace(own, settled=settled, held=held)

    def _commit(self, of_all: Holding) -> None:
        if of_all.held == self.world.size and self.committed_step != self.last_step:
            self.committed_step = self.last_step
            if self.files is not None:
                self.files.keep_last()

    def take(self, step: int, kept: Kept) -> None:
        """Take a snapshot now; only where nothing is on its way, which all ranks know alike."""
        before = self._held(within_s=0.0)
        self.last_step = step
        if self.files is None:
            return
        # Agents copy on the processors on which the model is computed.
        copying_s = before.seconds if before is not None else 0.0
        try:
            self._count(self.files.take(step, kept) + copying_s)
        except OSError as error:
            self._break(error)
        else:
            self.is_broken = False

    def _held(self, *, within_s: float) -> Held | None:
        """What is known of the last snapshot; one that nobody was asked for is held."""
        if self.last_step is None or self.files is None:
            return Held(step=self.last_step or 0)
        try:
            self.files.check()
        except OSError as error:
            self._break(error)
        if self.is_broken:
            return Held(step=self.last_step, is_held=False)
        return self.line.held(self.last_step, within_s=within_s)

    def _break(self, error: OSError) -> None:
        if not self.is_broken:
            log.warning("The snapshot of step %s could not be written: %s", self.last_step, error)
        self.is_broken = True

    def _count(self, seconds: float) -> None:
        self.cost_s = seconds if self.cost_s == 0.0 else (1 - _SMOOTHING) * self.cost_s + _SMOOTHING * seconds

    def _every(self, of_all: Holding) -> int:
        if self.every != "auto":
            return self.every
        return interval(of_all)

    def _tell(self, every: int) -> None:
        if not self.world.place.is_first:
            return
        known = self.told
        if known is None or not known / _WORTH_TELLING <= every <= known * _WORTH_TELLING:
            self.told = every
            self.line.tell(TierTold(tier=MemoryTier(every_steps=every)))


def interval(of_all: Holding) -> int:
    """Fewest steps from one snapshot to the next that keep their cost below 1 % of the time."""
    if of_all.step_seconds <= 0:
        return 1
    return max(1, math.ceil(of_all.snapshot_seconds / (GREATEST_COST * of_all.step_seconds)))


def open_tier(
    context: JobContext, state: State, *, stem: str | None, resumed: StatePoint | None, line: AgentLine
) -> Tier:
    """The tier of this world. It is off where one worker has no room for it, and the agent is told the number."""
    world, wanted, lora = context.world, context.spec.checkpoint.snapshots, context.recipe.model.lora
    # Adapters are small, and a step of theirs is as dear as one of all weights.
    every = 1 if wanted.every_steps == "auto" and lora is not None else wanted.every_steps
    files, problem = _open_files(context, state, stem=stem, resumed=resumed, line=line)
    without = int(world.all_reduce(torch.tensor([problem is not None], dtype=torch.float64)).item())
    if problem is not None:
        log.warning("There will be no snapshots in memory: %s", problem)
    if without == 0:
        return Tier(world=world, line=line, files=files, every=every)
    if world.place.is_first:
        message = problem or f"{without} of {world.size} ranks have no room for snapshots; their logs have the numbers."
        line.tell(TierTold(tier=MemoryTier(message=message)))
    return Tier(world=world, line=line, files=None, every=every, is_on=False)


def _open_files(
    context: JobContext, state: State, *, stem: str | None, resumed: StatePoint | None, line: AgentLine
) -> tuple[Snapshots | None, str | None]:
    """The files of this rank, if it shall write any, or why it cannot."""
    place, wanted = context.world.place, context.spec.checkpoint.snapshots
    if stem is None:
        return None, "The agent named no folder in memory."
    shards = context.world.size // context.world.replicas
    # Replicas of a shard are on other workers already, and those on this worker would be the same twice.
    copies = min(wanted.copies, context.world.size // place.ranks_per_worker - 1) if context.world.replicas == 1 else 0
    if place.local_rank >= shards:
        return None, None
    size = sum(part.numel() * part.element_size() for _, part in state)
    folder = Path(stem).parent
    folder.mkdir(parents=True, exist_ok=True)
    wanted_bytes = _FILES * (1 + copies) * size * min(place.ranks_per_worker, shards)
    # What a step needs beside the state, its gradients and activations, is not there yet: as much as the state once.
    room = room_bytes(folder) - size * place.ranks_per_worker
    if wanted_bytes > room:
        return None, (
            f"Snapshots need {wanted_bytes // _MIB:,} MiB of this worker's memory (two of {size // _MIB:,} MiB for each"
            f" rank, {copies} copies of others), and {max(0, room) // _MIB:,} MiB are left; raise the memory of"
            " spec.workers.resources.limits, or lower spec.checkpoint.snapshots.copies."
        )
    owner = Owner(stem=stem, world=place.world, shard=place.rank % shards, shards=shards, copies=copies)
    try:
        return Snapshots(state, owner, resumed=resumed, tell=line.tell), None
    except OSError as error:
        return None, f"The volume of {folder} does not take a snapshot of {size // _MIB:,} MiB: {error}."
