"""The demo's bucket, as tools on this machine see it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from devcluster.addons import S3
from everstep_trainer.objects import Store


@contextmanager
def reached(endpoint: str) -> Iterator[None]:
    """Have endpoint and keys in the environment, where obstore and all of its kind look for them."""
    wanted = S3.environment(endpoint)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def forget_runs(bucket: str, job: str) -> None:
    """Remove what earlier jobs of this name left: with it in the bucket, the job would take up their work."""
    runs = Store.at(f"{bucket}/runs").under(job)
    runs.delete([entry.name for entry in runs.entries()])
