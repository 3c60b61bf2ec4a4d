"""The Go toolchain: what it is, how a build of it is followed, and its failures as sentences."""

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.problem import DevclusterError

Heard = Callable[[str | None], None]
"""Takes each line that Go prints, and None after every second of silence."""

_FACTS_TIMEOUT_S = 60.0
_BUILD_TIMEOUT_S = 3600.0  # twelve times what two cores take

_SETTINGS = {
    "CGO_ENABLED": "0",  # static programs, which run FROM scratch and need no C compiler
    "GOFLAGS": "",  # flags of this machine would change what is built, and not the key that it is kept under
}

_KEY_FACTS = ("GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT")
"""What of `go env` decides about the bytes of a program, besides the source and the flags."""

_PACKAGE_LINE = re.compile(r"[\w./~-]+")
_NETWORK_TROUBLE = re.compile(
    r"dial tcp|no such host|proxyconnect|i/o timeout|TLS handshake|connection (refused|reset)|module lookup disabled"
    r"|: (40[347]|410|429|5\d\d) [A-Z]"
)
_SHOWN_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """The `go` found in PATH, working in the module that lies in `source`."""

    source: Path

    def facts(self) -> str:
        """Return what identifies this toolchain and its target.

        Raises:
            DevclusterError: there is no Go, or one that is older than the module asks for.
        """
        wanted = self._wanted()
        command = ["go", "env", "-json", *_KEY_FACTS]
        try:
            done = subprocess.run(
                command,
                cwd=self.source,
                env=_environment(),
                capture_output=True,
                text=True,
                timeout=_FACTS_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise DevclusterError(
                f"Go is not in PATH, and the cluster's programs are built with it; "
                f"install Go {wanted} or newer (https://go.dev/dl) and run this again."
            ) from None
        except subprocess.TimeoutExpired:
            raise DevclusterError(
                f"`go env` gave no answer in {_FACTS_TIMEOUT_S:.0f} s; run it in {self.source} to see why."
            ) from None
        if "requires go >=" in done.stderr:
            raise DevclusterError(
                f"This Go is too old: {done.stderr.strip()}; install Go {wanted} or newer (https://go.dev/dl), "
                f"or let Go fetch it with GOTOOLCHAIN=auto."
            )
        if done.returncode != 0:
            raise DevclusterError(_explain(done.stderr.splitlines()))
        return json.dumps(json.loads(done.stdout), sort_keys=True)

    def run(self, *arguments: str, heard: Heard) -> list[str]:
        """Return the lines that `go ARGUMENTS` prints, given to `heard` as they come.

        Raises:
            DevclusterError: it failed, in a sentence that says why, or ran longer than an hour.
        """
        process = subprocess.Popen(
            ["go", *arguments],
            cwd=self.source,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that compilers end with it, whatever ends this command
        )
        printed = []
        try:
            for line in _lines(process):
                heard(line)
                if line is not None:
                    printed.append(line)
            if process.wait(timeout=_FACTS_TIMEOUT_S) != 0:
                raise DevclusterError(_explain(printed))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        return printed

    def _wanted(self) -> str:
        found = re.search(r"^go (\S+)$", (self.source / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else ""


def is_package(line: str) -> bool:
    """Whether the line is the import path of a package, as `go build -v` and `go list` print them."""
    return _PACKAGE_LINE.fullmatch(line) is not None


def _environment() -> dict[str, str]:
    return {**os.environ, **_SETTINGS}


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str | None]:
    """Yield what the process prints line by line, and None after each second without a line."""
    if process.stdout is None:
        return
    output = process.stdout.fileno()
    poll = select.poll()
    poll.register(output, select.POLLIN)
    deadline = time.monotonic() + _BUILD_TIMEOUT_S
    rest = b""
    while True:
        if time.monotonic() > deadline:
            raise DevclusterError(
                f"Go still builds after {_BUILD_TIMEOUT_S / 60:.0f} minutes; run this again on a less busy machine: "
                "what is compiled stays compiled."
            )
        if not poll.poll(1000):
            yield None
            continue
        read = os.read(output, 1 << 16)
        if not read:
            break
        *whole, rest = (rest + read).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _explain(printed: Sequence[str]) -> str:
    """Return Go's complaint as a sentence that says what to do."""
    complaints = [line for line in printed if not is_package(line) and not line.startswith("go: downloading")]
    shown = "\n  ".join(complaints[:_SHOWN_LINES]) or "it says nothing"
    text = "\n".join(complaints)
    if "no space left on device" in text:
        return (
            "The disk is full, and a build keeps 6 GB in Go's caches (`go env GOCACHE GOMODCACHE` says where); "
            "free some and run it again."
        )
    if "signal: killed" in text:
        return (
            "The kernel ended a compiler, most likely for want of memory; a build needs 4 GB: free some, run it again."
        )
    if _NETWORK_TROUBLE.search(text):
        return (
            f"Go could not fetch a module:\n  {shown}\n"
            "Connect this machine to a module proxy (`go env GOPROXY` names the one in use) and run it again."
        )
    return f"Go could not build the cluster's programs:\n  {shown}"
