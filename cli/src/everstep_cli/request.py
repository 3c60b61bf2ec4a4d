"""What a command was asked to do with which job: the options that its verbs share, and the job that they make."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from everstep_api.resource import Manifest
from everstep_cli import example_bucket
from everstep_cli.job_options import buckets_of, check, read_job, with_folders, with_settings, with_steps, with_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A file, and what shall be otherwise than it says."""

    file: Path
    workers: int | None = None
    steps: int | None = None
    settings: Sequence[str] = ()
    buckets: Sequence[str] = ()
    is_tiny: bool = False
    """Whether a trial is meant and not the job itself."""

    def job(self, environment: Mapping[str, str], say: Callable[[str], None]) -> Manifest:
        """The job that is meant, with whatever folder has to stand for the examples' bucket.

        Raises:
            JobError: there is none in the file, or no good one; the text has all that is wrong.
        """
        job = with_settings(read_job(self.file), self.settings)
        job = with_workers(with_steps(job, self.steps), self.workers)
        buckets = buckets_of(self.buckets)
        folder = None
        if example_bucket.is_needed(job, buckets, environment):
            folder = example_bucket.folder(environment)
            buckets[example_bucket.BUCKET] = folder
        job = with_folders(job, buckets)
        check(job)  # before minutes go into what it reads
        if folder is not None:
            say(f"The folder {folder} stands for the examples' bucket {example_bucket.BUCKET}.")
            example_bucket.fill(folder)
        if self.is_tiny:
            from everstep_cli.tiny import DESCRIPTION, shrunk  # noqa: PLC0415 - of the trainer, which --help can lack

            job = shrunk(job, steps=self.steps)
            check(job)
            say(f"A trial, {job['metadata']['name']}: {DESCRIPTION}.")
        return job
