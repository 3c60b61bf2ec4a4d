"""A machine that cannot carry a cluster is told everything that it lacks, and what Debian has is installed."""

import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from devcluster import host
from devcluster.cluster import NamespacesCluster
from devcluster.problem import DevclusterError
from tests.unit.devcluster import programs


class Machine(NamedTuple):
    """What `host.require` looks at."""

    path: str
    state: Path
    groups: Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of root's with room and control groups, whose programs lie in one folder: runc, and an apt-get."""
    bin_folder = tmp_path / "bin"
    monkeypatch.setattr(host, "PROGRAMS", {"runc": ("runc",), "containerd": ("containerd", "ctr")})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs.install(bin_folder, "runc", "")
    groups = tmp_path / "cgroup"
    (groups / "memory").mkdir(parents=True)
    return Machine(path=str(bin_folder), state=tmp_path / "not" / "there" / "yet", groups=groups)


def install_apt(machine: Machine, script: str) -> None:
    """An apt-get that notes how it is called, then does `script`, in which `put NAME` makes a program appear."""
    put = f"put() {{ echo > {machine.path}/$1; /bin/chmod +x {machine.path}/$1; }}"
    programs.install(
        Path(machine.path), "apt-get", f"{put}\necho $DEBIAN_FRONTEND $* >> {machine.path}/../apt\n{script}"
    )


def calls_of_apt(machine: Machine) -> list[str]:
    noted = Path(machine.path).with_name("apt")
    prefix = "noninteractive -o DPkg::Lock::Timeout=120 "
    return [line.removeprefix(prefix) for line in noted.read_text().splitlines()] if noted.exists() else []


def test_a_machine_that_has_everything_is_left_alone(machine: Machine) -> None:
    for name in ("containerd", "ctr"):
        programs.install(Path(machine.path), name, "")
    install_apt(machine, "")
    host.require(**machine._asdict())
    assert calls_of_apt(machine) == []


def test_missing_packages_and_no_others_are_installed(machine: Machine) -> None:
    install_apt(machine, "put containerd; put ctr")
    host.require(**machine._asdict())
    assert calls_of_apt(machine) == ["install --yes --no-install-recommends containerd"]


def test_old_lists_of_packages_are_updated_first(machine: Machine) -> None:
    script = f'case "$*" in *update*) echo > {machine.path}/../lists;; esac\n'
    script += f"[ -e {machine.path}/../lists ] || exit 100\nput containerd; put ctr"
    install_apt(machine, script)
    host.require(**machine._asdict())
    install = "install --yes --no-install-recommends containerd"
    assert calls_of_apt(machine) == [install, "update", install]


def test_what_apt_complains_about_is_said(machine: Machine) -> None:
    install_apt(machine, "echo 'E: Unable to locate package containerd' >&2; exit 100")
    with pytest.raises(DevclusterError, match=r"cannot install containerd: E: Unable to locate package containerd"):
        host.require(**machine._asdict())


def test_a_package_that_brings_no_program_is_still_missing(machine: Machine) -> None:
    install_apt(machine, "put containerd")
    with pytest.raises(DevclusterError, match=r"These Debian packages are missing: containerd; install them"):
        host.require(**machine._asdict())


def test_without_apt_the_packages_are_named(machine: Machine) -> None:
    with pytest.raises(DevclusterError, match=r"These Debian packages are missing: containerd; install them"):
        host.require(**machine._asdict())


def test_no_verb_but_roots_touches_a_cluster_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence instead of what the kernel says about the first file that it refuses."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    cluster = NamespacesCluster(name="nowhere")
    for verb in (cluster.down, partial(cluster.crash_node, 1)):
        with pytest.raises(DevclusterError, match=r"run this as root, for example by `sudo -E`"):
            verb()


def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_installed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wants packages on a machine that cannot be used anyway."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=300_000_000))
    shutil.rmtree(machine.groups)
    install_apt(machine, "")
    with pytest.raises(DevclusterError) as refused:
        host.require(**machine._asdict())
    said = str(refused.value).splitlines()
    assert len(said) == 5
    for line, words in zip(
        said[1:], ("No control groups", "run this as root", "0.3 GB free", "containerd"), strict=True
    ):
        assert re.search(words, line)
    assert calls_of_apt(machine) == []


def test_cgroup_v2_is_as_good_as_v1(machine: Machine) -> None:
    shutil.rmtree(machine.groups / "memory")
    (machine.groups / "cgroup.controllers").touch()
    install_apt(machine, "put containerd; put ctr")
    host.require(**machine._asdict())


def test_another_system_is_sent_to_a_cluster_that_it_has(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(DevclusterError, match=r"It runs darwin.* DEVCLUSTER_CONTEXT"):
        host.require(**machine._asdict())
