"""What each image installs is what everybody develops with, and only what its target needs."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.paths import ROOT

REQUIREMENTS = ROOT / "requirements"
IMAGES = {"operator": ["operator.lock"], "trainer": ["torch.lock", "trainer.lock"]}


def entries(lock: Path) -> set[str]:
    """Each package of a lock with its version, its condition and its hashes."""
    text = re.sub(r"^#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {entry.strip() for entry in re.split(r"\n(?=\S)", text.strip())}


def names(locks: list[str]) -> set[str]:
    return {entry.partition("==")[0] for lock in locks for entry in entries(REQUIREMENTS / lock)}


@pytest.mark.parametrize("lock", ["operator.lock", "torch.lock", "trainer.lock", "build.lock"])
def test_a_lock_of_an_image_is_a_part_of_the_whole_lock(lock: str) -> None:
    """Versions and hashes agree; conditions may be narrower or wider, as fewer packages ask for one."""
    whole = {pinned(entry) for entry in entries(ROOT / "requirements.lock")}
    of_the_image = {pinned(entry) for entry in entries(REQUIREMENTS / lock) if not entry.startswith("uv==")}
    assert of_the_image
    assert of_the_image - whole == set()


def pinned(entry: str) -> tuple[str, ...]:
    head, *hashes = (line.strip(" \\") for line in entry.splitlines())
    return head.partition(";")[0].strip(), *sorted(hashes)


@pytest.mark.parametrize("target", IMAGES)
def test_an_image_has_all_that_its_extra_asks_for(target: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"][target]]
    assert {re.match(r"[\w.-]+", line)[0] for line in wanted} - names(IMAGES[target]) == set()  # type: ignore[index]  # a requirement begins with a name


def test_the_operator_has_nothing_of_pytorch() -> None:
    assert [name for name in names(["operator.lock"]) if re.match("torch|nvidia|cuda|triton|numpy", name)] == []


def test_what_pytorch_alone_needs_is_in_its_own_layer() -> None:
    """So that a newer transformers is a layer of 300 MB and not one of 6 GB."""
    assert [name for name in names(["trainer.lock"]) if re.match("torch$|nvidia|cuda|triton", name)] == []


def test_images_are_built_with_the_uv_that_everybody_has() -> None:
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [entry.split()[0] for entry in entries(REQUIREMENTS / "build.lock") if entry.startswith("uv==")] == [
        f"uv=={version}"
    ]


def test_a_build_for_the_cpu_is_taken_from_the_index_that_is_named(tmp_path: Path) -> None:
    (wanted,) = (entry.split()[0] for entry in entries(REQUIREMENTS / "torch.lock") if entry.startswith("torch=="))
    version = f"{wanted.removeprefix('torch==')}+cpu"
    page = tmp_path / "torch"
    page.mkdir()
    wheel = f"torch-{version}-py3-none-any.whl"
    with zipfile.ZipFile(page / wheel, "w") as archive:
        archive.writestr(
            f"torch-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
        )
    (page / "index.html").write_text(f'<a href="{wheel.replace("+", "%2B")}">{wheel}</a>', encoding="utf-8")
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "pip", "compile", "--no-header", "--no-cache", "--no-annotate", REQUIREMENTS / "torch-cpu.txt"],
        env={**os.environ, "TORCH_INDEX": tmp_path.as_uri()},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [f"torch=={version}"]
