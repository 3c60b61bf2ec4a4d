"""Put what the examples train on into a folder or a bucket: `python -m examples.prepare TARGET`.

TARGET is a folder, or s3://BUCKET with AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the
environment.
"""

import sys
from typing import Annotated

import typer

from examples.prepare import PrepareError, prepare


def main(target: Annotated[str, typer.Argument(help="A folder, or s3://BUCKET.")]) -> None:
    """Make the folder or bucket hold the model and the texts of the examples; what is there and whole stays."""
    try:
        prepare(target, typer.echo)
    except PrepareError as problem:
        typer.echo(f"prepare: {problem}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
