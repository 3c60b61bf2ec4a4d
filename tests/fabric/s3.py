"""The development cluster's S3 server as a process of a test."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from devcluster.build import binaries

BUCKET = "team-a"
_PATIENCE_S = 30.0
_PAUSE_S = 0.05


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

    def put_folder(self, folder: Path, name: str) -> None:
        """Upload the files of a folder under this name."""
        from everstep_trainer.objects import Store  # noqa: PLC0415 - obstore reads the environment as it is first used

        store = Store.at(f"s3://{BUCKET}/{name}")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                store.put(path.relative_to(folder).as_posix(), path)


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
            _wait_for(f"{endpoint}/healthz", process)
            yield server
        finally:
            process.kill()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    """The server says nothing when it is ready, so it is asked."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with urlopen(url, timeout=_PATIENCE_S):  # noqa: S310 - our own address
                return
        except URLError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_S)
