"""The command `everstep`: its verbs and their options, and nothing that they do."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from everstep_cli.job_options import JobError
from everstep_cli.request import JobRequest
from everstep_cli.run import default_home, run_job

app = typer.Typer(
    help="Train models on Kubernetes, or on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    file: Annotated[Path, typer.Argument(metavar="JOB.yaml", help="A file with one TrainingJob.")],
    *,
    workers: Annotated[int | None, typer.Option(min=1, help="Workers, in place of those of the job.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, in place of the job's duration.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Set a field under spec, such as recipe.seed=7."),
    ] = None,
    bucket: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Let a folder of this machine stand for a bucket."),
    ] = None,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Try the job in a minute: two layers, random weights, 20 steps, some data.")
    ] = False,
    home: Annotated[Path | None, typer.Option(help="Folder of the job's file, its logs and its processes.")] = None,
) -> None:
    """Run a job on this machine, without a cluster: the same decisions, agents and trainers as in one.

    Ends with 0 when the model is written, with 1 when the job failed, and with 2 when the file
    holds no valid job.
    """
    console = Console()
    asked = JobRequest(
        file=file, workers=workers, steps=steps, settings=settings or (), buckets=bucket or (), is_tiny=tiny
    )
    try:
        job = asked.job(os.environ, typer.echo)
        code = run_job(job, home or default_home(), console)
    except JobError as error:
        typer.echo(str(error), err=True)
        code = 2
    sys.exit(code)


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
    from everstep_cli.audit import audit_run  # noqa: PLC0415 - it imports the trainer, and `run` does not need that

    try:
        code = audit_run(folder, Console())
    except JobError as error:
        typer.echo(str(error), err=True)
        code = 2
    sys.exit(code)


def main() -> None:
    """Run the command line."""
    app()
