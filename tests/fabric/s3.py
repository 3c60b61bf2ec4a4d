"""The development cluster's S3 server as a process of a test."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from devcluster.build import binaries
from devcluster.waiting import wait_until

BUCKET = "team-a"
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """A server that runs, and a bucket in it."""

    endpoint: str
    folder: Path
    """What the bucket holds, as files."""

    @property
    def environment(self) -> dict[str, str]:
        """By which its clients find it and are let in."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }


def has_toolchain() -> bool:
    """Whether the server can be built here."""
    return shutil.which("go") is not None


@contextmanager
def a_server(home: Path) -> Iterator[S3]:
    """Serve a bucket out of a folder, on a free port."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    server = S3(endpoint=endpoint, folder=home / BUCKET)
    settings = {
        "S3_LISTEN": f"127.0.0.1:{port}",
        "S3_FOLDER": str(home),
        "S3_BUCKET": BUCKET,
        "S3_ACCESS_KEY": server.environment["AWS_ACCESS_KEY_ID"],
        "S3_SECRET_KEY": server.environment["AWS_SECRET_ACCESS_KEY"],
    }
    with subprocess.Popen([binaries() / "s3"], env={**os.environ, **settings}) as process:
        try:
            wait_until(
                lambda: _is_ready(f"{endpoint}/healthz", process),
                timeout_s=_PATIENCE_S,
                failure=f"The S3 server does not answer at {endpoint}.",
            )
            yield server
        finally:
            process.kill()


def _is_ready(url: str, process: "subprocess.Popen[bytes]") -> bool:
    """Whether it answers. It says nothing when it is ready, so it is asked."""
    if process.poll() is not None:
        raise RuntimeError(f"The S3 server ended with {process.returncode}; its words stand above.")
    try:
        with urlopen(url, timeout=_PATIENCE_S):  # noqa: S310 - our own address
            return True
    except URLError:
        return False
