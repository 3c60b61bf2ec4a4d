"""What is built together: the cluster's own programs, and a Prometheus for those who ask for one.

Prometheus has a module of its own. In that of the cluster it would choose versions of libraries that Kubernetes shares
with it, and everybody who wants a cluster would build it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from devcluster.problem import DevclusterError

_FLAGS = (
    "-trimpath",  # no path of this machine in the programs
    "-buildvcs=false",  # or each commit would link everything again
)
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Programs that one Go module builds."""

    source: Path
    """Where its go.mod is."""
    shelf: str
    """Folder of the cache that keeps them."""
    targets: tuple[str, ...]
    """Packages to build."""
    programs: tuple[str, ...]
    """What comes out."""
    tags: str
    """What of them is built."""
    announcement: str

    @property
    def flags(self) -> list[str]:
        """The flags of the build, with the versions that go.mod names."""
        named = " ".join(f"-X {name}={value}" for name, value in _NAMED[self.shelf](self.source).items())
        return [*_FLAGS, f"-tags={self.tags}", f"-ldflags=-s -w {named}"]  # without symbols, since nobody debugs these


def _names_of_cluster(source: Path) -> dict[str, str]:
    """Without a version in it, a Kubernetes server calls itself v0.0.0-master, which charts and clients refuse."""
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
    return named


def _names_of_prometheus(source: Path) -> dict[str, str]:
    return {"github.com/prometheus/common/version.Version": _version(source, "github.com/prometheus/prometheus")}


def _version(source: Path, module: str) -> str:
    text = (source / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{re.escape(module)} v(\S+)", text, re.MULTILINE)
    if found is None:
        raise DevclusterError(f"{source / 'go.mod'} does not require {module}; add it with `go get`.")
    return found[1]


CLUSTER = Suite(
    source=_FOLDER / "go",
    shelf="bin",
    targets=("./cmd/...", "helm.sh/helm/v4/cmd/helm", "sigs.k8s.io/kwok/cmd/kwok"),
    programs=("kubelite", "coredns", "helm", "kwok", "s3", "probe", "pause"),
    tags="selinux,notest,grpcnotrace",  # Kubernetes' own
    announcement=(
        "Building etcd, Kubernetes, CoreDNS, helm, kwok and the S3 server; "
        "with nothing in Go's cache that takes 5 minutes on 2 cores."
    ),
)

PROMETHEUS = Suite(
    source=_FOLDER / "prometheus",
    shelf="prometheus",
    targets=("github.com/prometheus/prometheus/cmd/prometheus",),
    programs=("prometheus",),
    tags="remove_all_sd",  # who is scraped stands in a file: the clients of two dozen clouds are left out
    announcement="Building Prometheus; with nothing in Go's cache that takes 2 minutes on 2 cores.",
)

BY_NAME = {"cluster": CLUSTER, "prometheus": PROMETHEUS}

_NAMED = {CLUSTER.shelf: _names_of_cluster, PROMETHEUS.shelf: _names_of_prometheus}
"""The variables that a suite's programs are linked with."""
