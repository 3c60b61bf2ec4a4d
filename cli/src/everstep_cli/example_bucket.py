"""A folder of this machine for the examples' bucket, filled by itself, so that an example runs by its file alone.

The jobs in `examples/` name the bucket `everstep`. Where nobody says which one is meant, neither by `--bucket` nor by
keys or an endpoint of S3 in the environment, it is a folder in the user's cache, and `examples/prepare` of the checkout
puts a model and data into it. An installation without the checkout has no examples to prepare, and says so.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from everstep_api.resource import Manifest
from everstep_cli.folders import cache_folder
from everstep_cli.job_options import JobError, addresses_in

BUCKET = "everstep"
CHECKOUT = Path(__file__).parents[3]
"""The root of the repository, where this module runs from one (`pip install --editable`)."""

TIMEOUT_S = 1800.0
"""As much as `examples/prepare` gives to its own two slow parts, which say what to do before this does."""

_REAL = (
    "AWS_ACCESS_KEY_ID",
    "AWS_ENDPOINT_URL",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables by which somebody says that a bucket is a real one. Others that begin with AWS_ say nothing of the kind."""


def is_needed(job: Manifest, buckets: Mapping[str, Path], environment: Mapping[str, str]) -> bool:
    """Whether the job names the examples' bucket, and nobody says which one that is."""
    named = any(address.startswith(f"s3://{BUCKET}/") for address in addresses_in(job))
    return named and BUCKET not in buckets and not any(environment.get(name) for name in _REAL)


def folder(environment: Mapping[str, str]) -> Path:
    """Where the bucket lies: in the user's cache, since all but the runs in it can be made again."""
    return cache_folder(environment) / "examples"


def fill(target: Path, *, checkout: Path = CHECKOUT) -> None:
    """Make the folder hold what the examples read. It takes a second when it does already; else it says how long.

    Raises:
        JobError: there are no examples here, or they could not be prepared.
    """
    if not (checkout / "examples" / "prepare" / "__main__.py").exists():
        raise JobError(
            f"The job names the bucket {BUCKET} of the examples, and this installation has no examples/prepare to fill"
            f" a folder in its place; name a folder by --bucket {BUCKET}=DIR, or say where the real bucket is by"
            " AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if it is not Amazon's, AWS_ENDPOINT_URL."
        )
    command = [sys.executable, "-m", "examples.prepare", str(target)]
    try:
        done = subprocess.run(command, cwd=checkout, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise JobError(
            f"`python {' '.join(command[1:])}` was ended after {TIMEOUT_S / 60:.0f} min; run it by itself in {checkout}"
            " to see what it waits for."
        ) from error
    if done.returncode != 0:
        raise JobError(done.stderr.strip() or f"`python {' '.join(command[1:])}` ended with {done.returncode}.")
