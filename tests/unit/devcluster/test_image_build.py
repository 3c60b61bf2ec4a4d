"""An image is built when what goes into it changed, and only then."""

import stat
from pathlib import Path

import pytest
from rich.console import Console

from devcluster import host, image_build, python_image
from devcluster.image_build import Target, build
from devcluster.problem import DevclusterError
from tests.unit.devcluster import programs

STORE = """\
#!/bin/sh
echo "$@" >> {log}
case "$1" in
  images) tac {images} ;;
  rmi) shift; for image; do grep -vxF "$image" {images} > {images}.new; mv {images}.new {images}; done ;;
  image) grep --quiet --line-regexp --fixed-strings "$4" {images} || exit 1 ;;
  build) {failure}; echo "$3" | sed s/--tag=// >> {images} ;;
esac
"""


class Docker:
    """A docker of our own, which remembers what was built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        (self.project / "api" / "src").mkdir(parents=True)
        (self.project / "Dockerfile").write_text("FROM scratch\n")
        (self.project / ".dockerignore").write_text("*\n!api/src\n**/__pycache__\n")
        self.code = self.project / "api" / "src" / "code.py"
        self.code.write_text("x = 1\n")
        (folder / "images").touch()
        self.answer(":")

    def answer(self, failure: str) -> None:
        program = self.folder / "docker"
        program.write_text(
            STORE.format(log=self.folder / "log", images=self.folder / "images", failure=failure), encoding="utf-8"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def build(self, target: Target = "operator") -> str:
        with (self.folder / "said").open("w") as said:
            return build(target, project=self.project, console=Console(file=said))

    def builds(self) -> int:
        return sum(line.startswith("build ") for line in (self.folder / "log").read_text().splitlines())


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    made = Docker(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(image_build, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(image_build, "_builder", lambda: "docker")
    return made


def test_nothing_changed_builds_nothing(docker: Docker) -> None:
    assert docker.build() == docker.build()
    assert docker.builds() == 1


def test_a_change_of_what_the_image_holds_builds_one_of_another_name(docker: Docker) -> None:
    before = docker.build()
    docker.code.write_text("x = 2\n")
    assert docker.build() != before
    assert docker.builds() == 2


def test_a_change_of_what_the_image_does_not_hold_builds_nothing(docker: Docker) -> None:
    before = docker.build()
    (docker.project / "README.md").write_text("new\n")
    (docker.code.parent / "__pycache__").mkdir()
    (docker.code.parent / "__pycache__" / "code.pyc").write_text("compiled\n")
    assert docker.build() == before
    assert docker.builds() == 1


def test_this_image_and_the_one_before_are_kept_and_older_ones_go(docker: Docker) -> None:
    built = []
    for number in range(4):
        docker.code.write_text(f"x = {number}\n")
        built.append(docker.build())
    assert (docker.folder / "images").read_text().split() == built[-2:]


def test_targets_are_images_of_their_own(docker: Docker) -> None:
    assert docker.build("operator").startswith("localhost/everstep/operator:")
    assert docker.build("trainer").startswith("localhost/everstep/trainer:")
    assert docker.builds() == 2


def test_a_failed_build_ends_with_its_last_lines_and_where_the_others_are(docker: Docker) -> None:
    docker.answer("echo hash mismatch of torch; exit 3")
    with pytest.raises(DevclusterError) as failed:
        docker.build("trainer")
    log = docker.folder / "cache" / "images" / "build-trainer.log"
    assert str(failed.value) == (
        f"docker cannot build the image of the trainer; see {log}, which ends:\n  hash mismatch of torch"
    )


def test_without_docker_a_user_who_is_not_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DevclusterError, match="run this as root, or install Docker"):
        host.require_builder()


def test_a_user_who_is_not_root_builds_by_docker_also_beside_buildah(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.search_only(monkeypatch, tmp_path / "bin")
    for name in ("buildah", "docker"):
        programs.install(tmp_path / "bin", name, "")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert image_build._builder() == "docker"  # noqa: SLF001 - a build by either would need its whole store


def test_a_docker_whose_daemon_does_not_answer_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.search_only(monkeypatch, tmp_path / "bin")
    programs.install(tmp_path / "bin", "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    asked: list[str] = []
    monkeypatch.setattr(host, "require_builder", lambda: asked.append("packages"))
    assert image_build._builder() == "buildah"  # noqa: SLF001 - a build by either would need its whole store
    assert asked == ["packages"]


def test_the_stand_in_for_python_has_every_place_that_a_build_mounts_over() -> None:
    """Where it had none, a build would add an entry of this machine to the image."""
    made = python_image._CONTAINERFILE  # noqa: SLF001 - what is written there is what is tested
    assert "mkdir -p /etc/uv /var/cache/uv /var/cache/wheels && touch /etc/pip.conf /etc/uv/uv.toml" in made
