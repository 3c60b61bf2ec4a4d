"""The cluster's programs, built from `go/` and kept under a key made of everything that goes into them.

One `go build` for all of them: what they share, which is most, is compiled once, and Go itself keeps both cores busy
from the first package to the last link. A change of a program's own source costs seconds, since Go's cache has the
packages; nothing changed costs a tenth of a second, since the key is the folder's name.
"""

import fcntl
import functools
import hashlib
import os
import re
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
from devcluster.toolchain import Go, is_package

SOURCE = Path(__file__).parent / "go"

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
"""The names by which `kubelite` is called."""

_TARGETS = ("./cmd/...", "helm.sh/helm/v4/cmd/helm", "sigs.k8s.io/kwok/cmd/kwok")
_MODULE = "everstep.dev/devcluster"
_PROGRAMS = ("kubelite", "coredns", "helm", "kwok", "s3", "probe", "pause")
_KEPT = 2  # this key and the one before: going back to another branch builds nothing


def binaries(*, cache: Path = CACHE, source: Path = SOURCE, console: Console | None = None) -> Path:
    """Return the folder that holds every program of the cluster, built if it is not there yet.

    A folder appears whole or not at all, and of two callers one builds and the other waits for it. A build shows how
    far it is on `console`, which is standard error unless the caller has another.

    Raises:
        DevclusterError: there is no fit Go, no network for its modules, no room, or the source does not compile.
    """
    shelf = cache / "bin"
    wanted = shelf / _key(source)
    try:
        if not wanted.is_dir():
            shelf.mkdir(parents=True, exist_ok=True)
            with shown(console or Console(stderr=True)) as watch, _alone(shelf / ".lock", watch):
                if not wanted.is_dir():
                    _build(Go(source=source), wanted, _Follower(watch=watch))
                    _forget_old(shelf)
        os.utime(wanted)  # what was used last is kept longest
    except OSError as error:
        raise DevclusterError(
            f"The built programs cannot be kept in {shelf}: {error.strerror}; "
            "mend that, or name another folder in XDG_CACHE_HOME."
        ) from error
    return wanted


def _flags(source: Path) -> list[str]:
    """Return the flags of the build, with the versions that go.mod names.

    Without a version in it, a Kubernetes server calls itself v0.0.0-master, which Helm charts and clients refuse.
    """
    kubernetes, helm = (_version(source, module) for module in ("k8s.io/kubernetes", "helm.sh/helm/v4"))
    major, minor, _ = kubernetes.split(".", 2)
    named = {"helm.sh/helm/v4/internal/version.version": f"v{helm}"}
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        named |= {
            f"{package}.gitVersion": f"v{kubernetes}",
            f"{package}.gitMajor": major,
            f"{package}.gitMinor": minor,
            f"{package}.gitTreeState": "clean",
            f"{package}.gitCommit": "unknown",
            f"{package}.buildDate": "2026-01-01T00:00:00Z",  # has to be a time; a true one would make each build differ
        }
    return [
        "-trimpath",  # no path of this machine in the programs
        "-buildvcs=false",  # or each commit would link everything again
        "-tags=selinux,notest,grpcnotrace",  # Kubernetes' own
        # Without symbols, since nobody debugs these.
        "-ldflags=-s -w " + " ".join(f"-X {name}={value}" for name, value in named.items()),
    ]


def _version(source: Path, module: str) -> str:
    text = (source / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{re.escape(module)} v(\S+)", text, re.MULTILINE)
    if found is None:
        raise DevclusterError(f"{source / 'go.mod'} does not require {module}; add it with `go get`.")
    return found[1]


@functools.cache
def _key(source: Path) -> str:
    """Return the name of what this source, these flags and this toolchain build, as they are at the first call."""
    digest = hashlib.sha256()
    for part in (Go(source=source).facts(), *_flags(source), *_TARGETS):
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


def _build(go: Go, wanted: Path, follower: "_Follower") -> None:
    flags = _flags(go.source)
    follower.begin("fetching modules")
    # Only what is not in Go's cache yet, or the display would jump: a change of one line compiles one package of 3,500.
    listed = go.run("list", "-deps", *flags, "-f={{if .Stale}}{{.ImportPath}}{{end}}", *_TARGETS, heard=follower.heard)
    follower.begin("building", total=sum(map(is_package, listed)))
    draft = wanted.with_name(f".draft-{wanted.name}")
    shutil.rmtree(draft, ignore_errors=True)  # of a build that was killed; the lock says that nobody else is in it
    draft.mkdir()
    try:
        go.run("build", "-v", *flags, f"-o={draft}/", *_TARGETS, heard=follower.heard)
        missing = [program for program in _PROGRAMS if not (draft / program).is_file()]
        if missing:
            raise DevclusterError(
                f"Go built no {', '.join(missing)}; see that devcluster/go/cmd has a folder for each."
            )
        for component in COMPONENTS:
            (draft / component).symlink_to("kubelite")
        draft.rename(wanted)
        follower.finish()
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_program(package: str) -> bool:
    return package in _TARGETS or package.startswith(f"{_MODULE}/cmd/")


def _forget_old(shelf: Path) -> None:
    built = [path for path in shelf.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for old in sorted(built, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


@dataclass(slots=True, kw_only=True)
class _Follower:
    """Turns what Go prints into states."""

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
            doing = f"linking {line.rsplit('/', 1)[-1]}" if _is_program(line) else "building"
            self._tell(replace(self.state, compiled=compiled, doing=doing))

    def _tell(self, state: BuildState) -> None:
        self.state = replace(state, elapsed_s=time.monotonic() - self.started_at)
        self.watch(self.state)
