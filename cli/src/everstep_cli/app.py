"""The command `everstep`: its verbs and their options, and nothing that they do."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from everstep_cli.folders import cache_folder, state_folder
from everstep_cli.job_options import JobError
from everstep_cli.request import JobRequest

EXIT_REFUSED = 2
"""The file or an option is no good; nothing was started."""

app = typer.Typer(
    help="Train models on Kubernetes, or on this machine.",
    epilog="To begin with: everstep run examples/finetune-job.yaml --workers 2",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="A file with one TrainingJob.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Workers, in place of those of the job.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps, in place of the job's duration.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Set a field under spec, such as recipe.seed=7."),
]
Buckets = Annotated[
    list[str] | None,
    typer.Option(
        "--bucket",
        metavar="NAME=DIR",
        help="Let a folder of this machine stand for a bucket. The examples' own is prepared by itself.",
    ),
]
Tiny = Annotated[
    bool, typer.Option("--tiny", help="Try the job in a minute: two layers, random weights, 20 steps, some data.")
]
Home = Annotated[Path | None, typer.Option(help="Folder of the job's file, its logs and its processes.")]


@app.callback()
def everstep(
    *, verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what the operator does.")] = False
) -> None:
    """Train models on Kubernetes, or on this machine."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.ERROR,
        format="%(name)s: %(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)],
    )


@app.command()
def run(
    file: File,
    *,
    workers: Workers = None,
    steps: Steps = None,
    tiny: Tiny = False,
    settings: Settings = None,
    bucket: Buckets = None,
    home: Home = None,
) -> None:
    """Run a job on this machine, without a cluster: the same decisions, agents and trainers as in one.

    Ctrl-C stops it after a checkpoint, and the same command goes on from there.

    Ends with 0 when the model is written, with 1 when the job failed, with 2 when the file holds no valid job, and with
    130 after Ctrl-C.
    """
    asked = JobRequest(
        file=file, workers=workers, steps=steps, settings=settings or (), buckets=bucket or (), is_tiny=tiny
    )
    with _refusals():
        from everstep_cli.run import run_job  # noqa: PLC0415 - half a second of imports that no other verb needs

        job = asked.job(os.environ, typer.echo)
        sys.exit(run_job(job, home or state_folder(os.environ), Console()))


@app.command()
def plan(
    file: File,
    *,
    workers: Workers = None,
    steps: Steps = None,
    tiny: Tiny = False,
    settings: Settings = None,
    bucket: Buckets = None,
) -> None:
    """Say what a job would do before it costs anything: values and their origin, steps, tokens, memory, samples.

    Reads model and data as the job's first world does, and refuses what that would refuse. Nothing is written into the
    job's storage. Ends with 0 when the job can be done, and with 2 when it cannot.
    """
    asked = JobRequest(
        file=file, workers=workers, steps=steps, settings=settings or (), buckets=bucket or (), is_tiny=tiny
    )
    with _refusals():
        from everstep_cli.plan import make_plan  # noqa: PLC0415 - it imports torch: seconds
        from everstep_cli.report import show  # noqa: PLC0415

        job = asked.job(os.environ, typer.echo)
        show(make_plan(job, cache_folder(os.environ) / "plans", typer.echo), Console())


@app.command()
def audit(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The job's folder in its storage: URI/NAMESPACE/NAME/UID.")
    ],
) -> None:
    """Prove that each planned row was committed once, or is listed as skipped.

    Ends with 0 when every row up to the last committed step is accounted for, with 1 when one is not, and with 2 when
    the folder is none of a job.
    """
    with _refusals():
        from everstep_cli.audit import audit_run  # noqa: PLC0415 - it imports torch: seconds

        sys.exit(audit_run(folder, Console()))


@contextmanager
def _refusals() -> Iterator[None]:
    """End with the sentence and its exit code where a job or an option is no good."""
    try:
        yield
    except JobError as error:
        typer.echo(str(error), err=True)
    except ModuleNotFoundError as error:
        typer.echo(f"The package {error.name} is not installed here; install everstep[cli,trainer].", err=True)
    else:
        return
    sys.exit(EXIT_REFUSED)


def main() -> None:
    """Run the command line, under the name by which it was called: `kubectl everstep` is the same program."""
    is_plugin = Path(sys.argv[0]).name.startswith("kubectl-")
    app(prog_name="kubectl everstep" if is_plugin else "everstep")
