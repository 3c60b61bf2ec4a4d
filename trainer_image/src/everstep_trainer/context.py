"""What every part of the trainer may know of the job: who it is, what it shall do, and where its things are."""

from dataclasses import dataclass
from pathlib import Path

from everstep_api.job import TrainingJobSpec
from everstep_api.recipe import Recipe
from everstep_api.resource import Manifest
from everstep_api.wire.ranks import Job
from everstep_trainer.objects import Store
from everstep_trainer.parallel.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """One job as one rank of one world sees it."""

    job: Job
    manifest: Manifest
    """The job's resolved spec as JSON has it; hashes are taken of this."""
    spec: TrainingJobSpec
    """The same, with types."""
    storage: Store
    """`storage.uri`; token stores live under `data/` there, shared by jobs."""
    run: Store
    """The job's own folder in the storage: `<namespace>/<name>/<uid>`."""
    cache: Path
    """A folder of this worker, shared by its ranks, whose content can be had again."""
    world: World

    @property
    def recipe(self) -> Recipe:
        """What is trained on what, and how."""
        return self.spec.recipe
