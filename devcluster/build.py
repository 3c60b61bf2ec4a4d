"""The programs of `suites.py`, built and kept under a key made of everything that goes into them.

One `go build` for all of a suite: what they share, which is most, is compiled once, and Go itself keeps both cores busy
from the first package to the last link. A change of a program's own source costs seconds, since Go's cache has the
packages; nothing changed costs a tenth of a second, since the key is the folder's name.
"""

import fcntl
import functools
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from devcluster.display import BuildState, Watch, shown
from devcluster.problem import DevclusterError
from devcluster.settings import CACHE
from devcluster.suites import CLUSTER, Suite
from devcluster.toolchain import Go, is_package

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
"""The names by which `kubelite` is called."""

_MODULE = "everstep.dev/devcluster"
_KEPT = 2  # this key and the one before: going back to another branch builds nothing


def binaries(*, suite: Suite = CLUSTER, cache: Path = CACHE, console: Console | None = None) -> Path:
    """Return the folder that holds every program of the suite, built if it is not there yet.

    A folder appears whole or not at all, and of two callers one builds and the other waits for it. A build shows how
    far it is on `console`, which is standard error unless the caller has another.

    Raises:
        DevclusterError: there is no fit Go, no network for its modules, no room, or the source does not compile.
    """
    shelf = cache / suite.shelf
    wanted = shelf / _key(suite)
    try:
        if not wanted.is_dir():
            shelf.mkdir(parents=True, exist_ok=True)
            printed = console or Console(stderr=True)
            with shown(printed, suite.announcement) as watch, _alone(shelf / ".lock", watch):
                if not wanted.is_dir():
                    _build(suite, wanted, _Follower(suite=suite, watch=watch))
                    _forget_old(shelf)
        os.utime(wanted)  # what was used last is kept longest
    except OSError as error:
        raise DevclusterError(
            f"The built programs cannot be kept in {shelf}: {error.strerror}; "
            "mend that, or name another folder in XDG_CACHE_HOME."
        ) from error
    return wanted


@functools.cache
def _key(suite: Suite) -> str:
    """Return the name of what this source, these flags and this toolchain build, as they are at the first call."""
    digest = hashlib.sha256()
    source = suite.source
    for part in (Go(source=source).facts(), *suite.flags, *suite.targets):
        digest.update(part.encode() + b"\0")
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(source)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


@contextmanager
def _alone(lock: Path, watch: Watch) -> Iterator[None]:
    """Hold the lock file; the kernel lets go of it when this process ends, however that happens."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            watch(BuildState(doing="waiting for another build"))
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(suite: Suite, wanted: Path, follower: "_Follower") -> None:
    go, flags = Go(source=suite.source), suite.flags
    follower.begin("fetching modules")
    # Only what is not in Go's cache yet, or the display would jump: a change of one line compiles one package of 3,500.
    listed = go.run(
        "list", "-deps", *flags, "-f={{if .Stale}}{{.ImportPath}}{{end}}", *suite.targets, heard=follower.heard
    )
    follower.begin("building", total=sum(map(is_package, listed)))
    draft = wanted.with_name(f".draft-{wanted.name}")
    shutil.rmtree(draft, ignore_errors=True)  # of a build that was killed; the lock says that nobody else is in it
    draft.mkdir()
    try:
        go.run("build", "-v", *flags, f"-o={draft}/", *suite.targets, heard=follower.heard)
        missing = [program for program in suite.programs if not (draft / program).is_file()]
        if missing:
            raise DevclusterError(
                f"Go built no {', '.join(missing)}; see that a target of devcluster/suites.py is named so."
            )
        for component in COMPONENTS if "kubelite" in suite.programs else ():
            (draft / component).symlink_to("kubelite")
        draft.rename(wanted)
        follower.finish()
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _forget_old(shelf: Path) -> None:
    built = [path for path in shelf.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for old in sorted(built, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


@dataclass(slots=True, kw_only=True)
class _Follower:
    """Turns what Go prints into states."""

    suite: Suite
    watch: Watch
    state: BuildState = field(default_factory=BuildState)
    started_at: float = field(default_factory=time.monotonic)

    def begin(self, doing: str, total: int = 0) -> None:
        self._tell(BuildState(doing=doing, total=total))

    def finish(self) -> None:
        self._tell(replace(self.state, doing="built", compiled=self.state.total))

    def heard(self, line: str | None) -> None:
        if line is None:
            self._tell(self.state)
        elif line.startswith("go: downloading "):
            self._tell(replace(self.state, doing=line.removeprefix("go: ")))
        elif self.state.total and is_package(line):
            compiled = self.state.compiled + 1
            # Go names a package before it compiles it; a program's own is its last, and linking it prints nothing.
            doing = f"linking {line.rsplit('/', 1)[-1]}" if self._is_program(line) else "building"
            self._tell(replace(self.state, compiled=compiled, doing=doing))

    def _is_program(self, package: str) -> bool:
        return package in self.suite.targets or package.startswith(f"{_MODULE}/cmd/")

    def _tell(self, state: BuildState) -> None:
        self.state = replace(state, elapsed_s=time.monotonic() - self.started_at)
        self.watch(self.state)
