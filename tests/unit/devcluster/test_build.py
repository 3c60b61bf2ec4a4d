"""The cluster's programs are built once for what goes into them, and a build that fails says why."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from devcluster.build import COMPONENTS, binaries
from devcluster.problem import DevclusterError
from devcluster.suites import CLUSTER, PROMETHEUS
from tests.paths import ROOT
from tests.unit.devcluster import programs

GO_MOD = """module everstep.dev/devcluster
go 1.26.0
require (
	helm.sh/helm/v4 v4.2.4 // indirect
	k8s.io/kubernetes v1.36.4
)
"""
BUILD = """
for argument in "$@"; do case "$argument" in -o=*) out="${argument#-o=}";; esac; done
for program in kubelite coredns helm kwok s3 probe pause; do echo "$program" > "$out$program"; done
"""


class Workshop:
    """A source, a cache and a Go that notes every build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.source = self.make_source("source")
        self.console = Console(file=io.StringIO(), width=200)
        self.install_go()

    def make_source(self, name: str, *, main: str = "package main") -> Path:
        source = self.folder / name
        source.mkdir()
        (source / "go.mod").write_text(GO_MOD)
        (source / "main.go").write_text(main)
        return source

    def install_go(self, *, build: str = BUILD, version: str = "go1.26.8", env: str | None = None) -> None:
        programs.install(
            self.folder / "bin",
            "go",
            f"""
case "$1" in
env) {env or f'''echo '{{"GOVERSION": "{version}"}}' '''};;
list) echo k8s.io/api; echo everstep.dev/devcluster/cmd/s3;;
build) echo "$@" >> {self.folder}/builds; {build} ;;
esac""",
        )

    def binaries(self, source: Path | None = None) -> Path:
        suite = replace(CLUSTER, source=source or self.source)
        return binaries(suite=suite, cache=self.cache, console=self.console)

    @property
    def builds(self) -> list[str]:
        """The command of each build."""
        noted = self.folder / "builds"
        return noted.read_text().splitlines() if noted.exists() else []

    @property
    def printed(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    programs.search_only(monkeypatch, tmp_path / "bin")
    return Workshop(tmp_path)


def test_a_built_folder_holds_every_program_and_the_names_of_kubelite(workshop: Workshop) -> None:
    built = workshop.binaries()
    assert {program.name for program in built.iterdir()} == {
        *("kubelite", "coredns", "helm", "kwok", "s3", "probe", "pause"),
        *COMPONENTS,
    }
    assert (built / "kubelet").read_text() == "kubelite\n"


def test_what_is_built_is_not_built_again_from_the_same_source_wherever_it_lies(workshop: Workshop) -> None:
    first = workshop.binaries()
    printed = workshop.printed
    elsewhere = workshop.make_source("elsewhere")
    assert workshop.binaries() == workshop.binaries(elsewhere) == first
    assert len(workshop.builds) == 1
    assert workshop.printed == printed


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param("main.go", "package other", id="a changed program"),
        pytest.param("cmd/new/main.go", "package main", id="a new program"),
        pytest.param("go.mod", GO_MOD.replace("1.36.4", "1.36.5"), id="another version of a module"),
    ],
)
def test_another_source_is_built_beside_the_first(workshop: Workshop, file: str, content: str) -> None:
    first = workshop.binaries()
    changed = workshop.make_source("changed")
    (changed / file).parent.mkdir(parents=True, exist_ok=True)
    (changed / file).write_text(content)
    assert workshop.binaries(changed) != first
    assert len(workshop.builds) == 2


def test_another_go_builds_again(workshop: Workshop) -> None:
    first = workshop.binaries()
    workshop.install_go(version="go1.27.0")
    assert workshop.binaries(workshop.make_source("same")) != first


def test_the_programs_carry_the_versions_that_go_mod_names(workshop: Workshop) -> None:
    """A server without a version calls itself v0.0.0-master, which charts refuse."""
    workshop.binaries()
    (command,) = workshop.builds
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.4" in command
    assert "-X k8s.io/client-go/pkg/version.gitMinor=36" in command
    assert "-X helm.sh/helm/v4/internal/version.version=v4.2.4" in command


def test_prometheus_is_built_by_itself_and_kept_on_its_own_shelf(workshop: Workshop) -> None:
    workshop.install_go(build=BUILD.replace("pause", "prometheus"))
    source = workshop.make_source("prometheus")
    required = GO_MOD.replace("k8s.io/kubernetes v1.36.4", "github.com/prometheus/prometheus v0.316.0")
    (source / "go.mod").write_text(required)
    built = binaries(suite=replace(PROMETHEUS, source=source), cache=workshop.cache, console=workshop.console)
    assert built.parent == workshop.cache / "prometheus"
    assert (built / "prometheus").exists()
    assert not (built / "kubelet").exists()
    (command,) = workshop.builds
    assert "-tags=remove_all_sd" in command
    assert "-X github.com/prometheus/common/version.Version=0.316.0" in command
    assert "Building Prometheus" in workshop.printed


def test_the_two_keys_that_were_used_last_are_kept(workshop: Workshop) -> None:
    sources = [workshop.make_source(name, main=name) for name in ("first", "second", "third")]
    first, second = (workshop.binaries(source) for source in sources[:2])
    os.utime(second, (1, 1))
    assert workshop.binaries(sources[0]) == first
    third = workshop.binaries(sources[2])
    assert {path for path in first.parent.iterdir() if path.is_dir()} == {first, third}


def test_a_build_that_fails_leaves_nothing_and_the_next_one_succeeds(workshop: Workshop) -> None:
    workshop.install_go(build=f"{BUILD} exit 1")
    with pytest.raises(DevclusterError, match="it says nothing"):
        workshop.binaries()
    assert [path.name for path in (workshop.cache / "bin").iterdir()] == [".lock"]
    workshop.install_go()
    assert (workshop.binaries() / "kubelite").exists()


def test_a_build_that_was_killed_is_done_again(workshop: Workshop) -> None:
    os.mkfifo(workshop.folder / "gate")
    workshop.install_go(
        build=f"{BUILD} echo half > ${{out}}left-over; echo $$ > {workshop.folder}/gate; exec sleep 600"
    )
    call = (
        "from dataclasses import replace; from pathlib import Path; from devcluster import build, suites;"
        f" suite = replace(suites.CLUSTER, source=Path({str(workshop.source)!r}));"
        f" build.binaries(suite=suite, cache=Path({str(workshop.cache)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", call], cwd=ROOT, stderr=subprocess.DEVNULL) as builder:
        compiler = int((workshop.folder / "gate").read_text())  # comes when the build is in the middle
        builder.kill()
    workshop.install_go()
    try:
        built = workshop.binaries()
    finally:
        os.kill(compiler, signal.SIGKILL)
    assert not (built / "left-over").exists()
    assert [path.name for path in built.parent.iterdir() if path.name.startswith(".draft")] == []


class Watched(io.StringIO):
    """Tells when a text was printed."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self.awaited = awaited
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        if self.awaited in text:
            self.seen.set()
        return super().write(text)


def test_of_two_callers_one_builds_and_the_other_waits_for_it(workshop: Workshop) -> None:
    gate = workshop.folder / "gate"
    os.mkfifo(gate)
    workshop.install_go(build=f"cat {gate}; {BUILD}")
    outputs = [Watched("waiting for another build"), Watched("waiting for another build")]

    def call(output: Watched) -> Path:
        suite = replace(CLUSTER, source=workshop.source)
        return binaries(suite=suite, cache=workshop.cache, console=Console(file=output, width=200))

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(call, output) for output in outputs]
        while not any(output.seen.wait(0.01) for output in outputs):
            assert not any(made.done() for made in calls)
        gate.write_text("go on")
        assert calls[0].result(30) == calls[1].result(30)
    assert len(workshop.builds) == 1


def test_without_a_terminal_lines_say_how_far_the_build_is(workshop: Workshop) -> None:
    workshop.install_go(build=f"echo k8s.io/api; {BUILD}")
    workshop.binaries()
    assert "Building etcd, Kubernetes" in workshop.printed
    assert re.search(r"0:0\d  built, 2 of 2 packages", workshop.printed)


FAILURES = {
    "a compile error": (
        "echo k8s.io/api; echo '# everstep.dev/devcluster/cmd/s3'; echo 'cmd/s3/main.go:7:2: undefined: serve'; exit 1",
        "Go could not build the cluster's programs:\n  # everstep.dev/devcluster/cmd/s3\n  cmd/s3/main.go:7:2:",
    ),
    "a full disk": (
        "echo 'link: write /tmp/x: no space left on device'; exit 1",
        "The disk is full, and a build keeps 6 GB in Go's caches",
    ),
    "no network": (
        "echo 'go: k8s.io/api@v0.36.4: Get \"https://proxy/\": dial tcp: lookup proxy: no such host'; exit 1",
        "Go could not fetch a module:\n  go: k8s.io/api@v0.36.4",
    ),
    "no memory": ("echo 'k8s.io/api: compile: signal: killed'; exit 1", "The kernel ended a compiler"),
    "a program too few": ("exit 0", "Go built no kubelite, coredns, helm, kwok, s3, probe, pause"),
}


@pytest.mark.parametrize(("script", "sentence"), FAILURES.values(), ids=FAILURES)
def test_a_failed_build_says_why(workshop: Workshop, script: str, sentence: str) -> None:
    workshop.install_go(build=script)
    with pytest.raises(DevclusterError, match=re.escape(sentence)):
        workshop.binaries()


def test_a_machine_without_go_is_told_which_one_to_install(workshop: Workshop) -> None:
    (workshop.folder / "bin" / "go").unlink()
    with pytest.raises(DevclusterError, match=r"Go is not in PATH.* install Go 1\.26\.0 or newer"):
        workshop.binaries()


def test_an_old_go_is_told_which_one_to_install(workshop: Workshop) -> None:
    complaint = "go: go.mod requires go >= 1.26.0 (running go 1.24.1; GOTOOLCHAIN=local)"
    workshop.install_go(env=f"echo '{complaint}' >&2; exit 1")
    with pytest.raises(
        DevclusterError, match=r"This Go is too old: .*running go 1\.24\.1.* install Go 1\.26\.0 or newer"
    ):
        workshop.binaries()


def test_a_cache_that_cannot_be_written_names_the_folder_and_the_variable(workshop: Workshop) -> None:
    workshop.cache.write_text("a file")
    with pytest.raises(DevclusterError, match=r"cache/bin: Not a directory.* XDG_CACHE_HOME"):
        workshop.binaries()


def test_the_real_source_asks_for_no_kubelet_that_refuses_old_control_groups() -> None:
    """From 1.37 on a kubelet needs cgroup v2 and containerd 2, which Debian 12 has not."""
    assert re.search(r"^\s*k8s\.io/kubernetes v1\.36\.", (CLUSTER.source / "go.mod").read_text(), re.MULTILINE)
