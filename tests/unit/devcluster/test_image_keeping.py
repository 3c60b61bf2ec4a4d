"""A cluster keeps one image of each name, in the form in which it came last."""

import json
import tarfile
from pathlib import Path

import pytest

from devcluster import image_layers, images
from devcluster.image_layers import Description, StoredImage

NAME = "localhost/x:1"


def an_archive(target: Path) -> Path:
    """A docker archive, as far as it is read here."""
    manifest = target.with_name("manifest.json")
    manifest.write_text(json.dumps([{"RepoTags": [NAME]}]))
    with tarfile.open(target, "w") as tar:
        tar.add(manifest, "manifest.json")
    return target


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """buildah has an image of that name."""
    description = Description(name=NAME, config=b"{}", layers=[])
    image = StoredImage(description=description, folders={}, store=tmp_path)
    monkeypatch.setattr(image_layers, "find", lambda name: image if name == NAME else None)


@pytest.mark.usefixtures("stored")
def test_an_image_of_buildah_is_kept_as_layers(tmp_path: Path) -> None:
    kept, name = images.bring(NAME, tmp_path / "kept")
    assert name == NAME
    assert kept.suffix == ".oci"
    assert images.kept_in(tmp_path / "kept") == [kept]


@pytest.mark.usefixtures("stored")
def test_a_file_is_kept_as_an_archive(tmp_path: Path) -> None:
    kept, name = images.bring(str(an_archive(tmp_path / "x.tar")), tmp_path / "kept")
    assert name == NAME
    assert kept.suffix == ".tar"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("last", ["archive", "layers"])
def test_what_came_last_is_what_a_node_imports_when_it_boots(tmp_path: Path, last: str) -> None:
    forms = {"archive": str(an_archive(tmp_path / "x.tar")), "layers": NAME}
    first = "layers" if last == "archive" else "archive"
    images.bring(forms[first], tmp_path / "kept")
    kept, _ = images.bring(forms[last], tmp_path / "kept")
    assert images.kept_in(tmp_path / "kept") == [kept]


def test_drafts_that_were_cut_off_are_not_imported(tmp_path: Path) -> None:
    for name in (".draft-1.tar", ".draft-2.oci", "layers"):
        (tmp_path / name).touch()
    assert images.kept_in(tmp_path) == []
