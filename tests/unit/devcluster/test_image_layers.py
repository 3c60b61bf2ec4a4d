"""Layers of a builder's store become layers of a node, whole and without a copy."""

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from devcluster.image_layers import Description, Layer, StoredImage, read_store, take_over
from devcluster.problem import DevclusterError

DIGESTS = [f"sha256:{hashlib.sha256(name).hexdigest()}" for name in (b"lower", b"upper")]
CONFIG = json.dumps({"rootfs": {"type": "layers", "diff_ids": DIGESTS}}).encode()

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make devices and mounts")


def a_store(root: Path, *, diff_ids: Sequence[str] = DIGESTS) -> Path:
    """A store with an image `i` of two layers, in the form that buildah writes."""
    for part in ("overlay-images", "overlay-layers", "overlay/l0/diff", "overlay/l1/diff"):
        (root / part).mkdir(parents=True)
    layers = [
        {"id": f"l{number}", "diff-digest": digest, "diff-size": 100 + number}
        | ({"parent": f"l{number - 1}"} if number else {})
        for number, digest in enumerate(diff_ids)
    ]
    (root / "overlay-images" / "images.json").write_text(json.dumps([{"id": "i", "layer": "l1"}]))
    (root / "overlay-layers" / "layers.json").write_text(json.dumps([*reversed(layers), {"id": "unfinished"}]))
    for number in (0, 1):
        (root / "overlay" / f"l{number}" / "diff" / "file").write_text(str(number))
    return root


def found(root: Path) -> StoredImage:
    image = read_store(root, name="localhost/x:1", identity="i", config=CONFIG)
    assert image is not None
    return image


def test_layers_are_found_from_the_lowest_with_their_sizes(tmp_path: Path) -> None:
    image = found(a_store(tmp_path))
    assert list(image.description.layers) == [
        Layer(digest=DIGESTS[0], size_bytes=100),
        Layer(digest=DIGESTS[1], size_bytes=101),
    ]
    assert [image.folders[digest].joinpath("file").read_text() for digest in DIGESTS] == ["0", "1"]


def test_a_store_whose_layers_are_not_those_of_the_image_is_not_used(tmp_path: Path) -> None:
    a_store(tmp_path, diff_ids=list(reversed(DIGESTS)))
    assert read_store(tmp_path, name="localhost/x:1", identity="i", config=CONFIG) is None


def test_an_image_that_the_store_does_not_know_is_not_found(tmp_path: Path) -> None:
    assert read_store(a_store(tmp_path), name="localhost/x:1", identity="other", config=CONFIG) is None


def test_a_description_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = found(a_store(tmp_path)).description
    written.write(tmp_path / "kept.oci")
    assert Description.read(tmp_path / "kept.oci") == written


@as_root
def test_a_kept_image_takes_no_room_and_outlives_the_store(tmp_path: Path) -> None:
    root = a_store(tmp_path / "store")
    image = found(root)
    original = root / "overlay" / "l1" / "diff" / "file"
    image.keep(tmp_path / "kept")
    kept = image.description.layers[1].folder(tmp_path / "kept") / "file"
    assert kept.samefile(original)
    original.unlink()
    assert kept.read_text() == "1"


@as_root
def test_keeping_an_image_again_takes_only_what_is_new(tmp_path: Path) -> None:
    image = found(a_store(tmp_path / "store"))
    kept = image.keep(tmp_path / "kept")
    for folder in image.folders.values():
        (folder / "file").unlink()
    assert image.keep(tmp_path / "kept") == kept
    assert all((layer.folder(tmp_path / "kept") / "file").exists() for layer in image.description.layers)
    assert len(list((tmp_path / "kept" / "layers").iterdir())) == 2


@as_root
def test_removed_files_hidden_folders_owners_and_modes_come_along(tmp_path: Path) -> None:
    source, target = tmp_path / "diff", tmp_path / "kept"
    hidden = source / "hidden"
    hidden.mkdir(parents=True, mode=0o750)
    os.mknod(source / "removed", stat.S_IFCHR, os.makedev(0, 0))
    os.chown(hidden, 12, 34)
    try:
        os.setxattr(hidden, "trusted.overlay.opaque", b"y")
    except OSError:
        pytest.skip("the file system of this folder keeps no trusted attributes")
    take_over(source, target, store=tmp_path)
    device = (target / "removed").lstat()
    assert stat.S_ISCHR(device.st_mode)
    assert device.st_rdev == 0
    assert os.getxattr(target / "hidden", "trusted.overlay.opaque") == b"y"
    seen = (target / "hidden").stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (12, 34, 0o750)


@as_root
def test_a_layer_that_is_gone_is_said_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    source = tmp_path / "diff"
    source.mkdir()
    target = tmp_path / "kept" / "layer"
    target.parent.mkdir()
    with pytest.raises(DevclusterError, match="cannot be brought to"):
        take_over(source / "gone", target, store=tmp_path)
    assert list(target.parent.iterdir()) == []
