"""A cluster that somebody has is used only when it was named for trials, and only what is ours is put into it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from devcluster import existing, images
from devcluster.existing import ExistingCluster
from devcluster.problem import DevclusterError
from tests.unit.devcluster import programs


def a_kubeconfig(folder: Path, text: str = "current-context: kind-trials\n") -> Path:
    path = folder / "kubeconfig"
    path.write_text(text)
    return path


# -- which cluster ----------------------------------------------------------------------------------------------------


def test_the_context_that_was_named_is_used(tmp_path: Path) -> None:
    cluster = ExistingCluster.of_context(a_kubeconfig(tmp_path), "kind-trials")
    assert cluster.kubeconfig == tmp_path / "kubeconfig"


REFUSED = {
    "another context": (
        "current-context: production\n",
        r"current context of .*kubeconfig is production and DEVCLUSTER_CONTEXT allows only kind-trials",
    ),
    "no context": ("kind: Config\n", r"current context of .*kubeconfig is not set and DEVCLUSTER_CONTEXT"),
    "an empty file": ("", r"is not set and DEVCLUSTER_CONTEXT"),
    "no YAML": ("a: [", r"cannot be read as a kubeconfig .*set KUBECONFIG to the one file"),
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.values(), ids=REFUSED)
def test_any_other_cluster_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DevclusterError, match=re.compile(sentence, re.DOTALL)):
        ExistingCluster.of_context(a_kubeconfig(tmp_path, text), "kind-trials")


def test_a_kubeconfig_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DevclusterError, match=r"missing cannot be read as a kubeconfig"):
        ExistingCluster.of_context(tmp_path / "missing", "kind-trials")


# -- what is done to it -----------------------------------------------------------------------------------------------


class Site:
    """A cluster behind a kubectl that knows its nodes, and a place for what the load command leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "binaries"
        self.cluster = ExistingCluster.of_context(a_kubeconfig(folder), "kind-trials")
        self.have_nodes([True])
        (self.programs / "s3").write_bytes(b"the server")
        (self.programs / "probe").write_bytes(b"the probe")

    def have_nodes(self, ready: Sequence[bool]) -> None:
        nodes = [
            {
                "metadata": {"name": f"worker-{number}"},
                "status": {"conditions": [{"type": "Ready", "status": str(is_ready)}]},
            }
            for number, is_ready in enumerate(ready)
        ]
        answer = json.dumps({"items": nodes})
        script = f"""shift; echo "$*" >> {self.folder}/calls
case "$*" in
"get --output=json nodes") echo '{answer}';;
*apply*) cat > /dev/null;;
*"get deployment"*) printf 1/1;;
esac"""
        programs.install(self.programs, "kubectl", script)

    @property
    def calls(self) -> str:
        return (self.folder / "calls").read_text()

    @property
    def loaded(self) -> list[str]:
        noted = self.folder / "loaded"
        return noted.read_text().splitlines() if noted.exists() else []


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    programs.search_only(monkeypatch, tmp_path / "bin")
    made = Site(tmp_path)
    monkeypatch.setattr(existing, "binaries", lambda: made.programs)
    monkeypatch.setattr(images, "binaries", lambda: made.programs)
    monkeypatch.setenv("DEVCLUSTER_LOAD", f"echo {{image}} {{archive}} >> {tmp_path}/loaded")
    return made


def test_up_brings_the_image_of_the_object_store_and_runs_it(site: Site) -> None:
    site.cluster.up()
    archive = images.archive("s3")
    assert site.loaded == [f"{images.name_of(archive)} {archive}"]
    assert "rollout status deployment/s3" in site.calls


@pytest.mark.parametrize(
    ("ready", "nodes", "sentence"),
    [
        ([False], None, "has 0 Ready nodes and 1 are needed"),
        ([], None, "has 0 Ready nodes and 1 are needed"),
        ([True, True, False], 3, "has 2 Ready nodes and 3 are needed"),
    ],
)
def test_a_cluster_with_too_few_ready_nodes_is_left_alone(
    site: Site, ready: list[bool], nodes: int | None, sentence: str
) -> None:
    site.have_nodes(ready)
    with pytest.raises(DevclusterError, match=sentence):
        site.cluster.up(nodes)
    assert site.loaded == []
    assert "apply" not in site.calls


def test_down_removes_the_namespace_that_is_ours_and_nothing_else(site: Site) -> None:
    site.cluster.down()
    assert site.calls == "delete namespace everstep-devcluster --ignore-not-found\n"


def test_status_shows_nodes_store_and_whose_cluster_it_is(site: Site) -> None:
    site.have_nodes([True, False])
    assert [line.split() for line in site.cluster.status().splitlines()] == [
        ["worker-0", "Ready"],
        ["worker-1", "NotReady"],
        ["s3", "on"],
        ["context", "kind-trials"],
        ["kubeconfig", str(site.cluster.kubeconfig)],
    ]


# -- how an image comes to it -----------------------------------------------------------------------------------------


def test_an_archive_is_loaded_by_the_users_command_and_its_name_returned(site: Site) -> None:
    archive = images.archive("probe")
    assert site.cluster.load(str(archive)) == images.name_of(archive)
    assert site.loaded == [f"{images.name_of(archive)} {archive}"]


def test_a_command_that_takes_names_is_given_the_name_as_it_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No archive of 6 GB is written for a command that does not want one."""
    monkeypatch.setenv("DEVCLUSTER_LOAD", f"echo load {{image}} >> {site.folder}/loaded")
    assert site.cluster.load("everstep:dev") == "everstep:dev"
    assert site.loaded == ["load everstep:dev"]


def test_an_archive_goes_through_docker_for_a_command_that_takes_names(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVCLUSTER_LOAD", f"echo load {{image}} >> {site.folder}/loaded")
    programs.install(site.folder / "bin", "docker", f"echo docker $* >> {site.folder}/loaded")
    archive = images.archive("probe")
    site.cluster.load(str(archive))
    assert site.loaded == [f"docker load --input={archive}", f"load {images.name_of(archive)}"]


def test_a_strange_name_stays_one_word_of_the_command(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVCLUSTER_LOAD", f"echo {{image}} >> {site.folder}/loaded")
    site.cluster.load("x; echo broken")
    assert site.loaded == ["x; echo broken"]


@pytest.mark.parametrize("command", ["", "kind load docker-image everstep:dev"], ids=["none", "one without a place"])
def test_a_command_that_cannot_be_meant_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("DEVCLUSTER_LOAD", command)
    sentence = f"DEVCLUSTER_LOAD is {command or 'not set'}; set it to the command that brings an image to the cluster"
    with pytest.raises(DevclusterError, match=re.escape(sentence)):
        site.cluster.load("everstep:dev")


def test_a_command_that_fails_is_reported_in_its_own_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVCLUSTER_LOAD", "echo no cluster {image} >&2; exit 3")
    with pytest.raises(DevclusterError, match=r"\(DEVCLUSTER_LOAD\) failed: no cluster everstep:dev"):
        site.cluster.load("everstep:dev")
