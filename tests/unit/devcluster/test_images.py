"""Images are archives that say what is in them, whoever made them."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from devcluster import images
from devcluster.problem import DevclusterError
from tests.unit.devcluster import programs


def a_folder_of_programs(folder: Path, *, s3: bytes = b"the server") -> Path:
    folder.mkdir()
    for name, content in {"pause": b"the pause", "probe": b"the probe", "s3": s3}.items():
        (folder / name).write_bytes(content)
    return folder


def an_archive(path: Path, manifest: object) -> Path:
    with tarfile.open(path, mode="w") as tar:
        content = json.dumps(manifest).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return path


def a_named_archive(path: Path, name: str) -> Path:
    return an_archive(path, [{"Config": "c.json", "RepoTags": [name], "Layers": []}])


# -- our own ----------------------------------------------------------------------------------------------------------


def test_an_archive_has_the_same_bytes_and_name_whenever_and_wherever_it_is_made(tmp_path: Path) -> None:
    first = images.archive("s3", folder=a_folder_of_programs(tmp_path / "first"))
    second = images.archive("s3", folder=a_folder_of_programs(tmp_path / "second"))
    assert first.read_bytes() == second.read_bytes()


def test_another_program_has_another_name(tmp_path: Path) -> None:
    """A node that holds the name holds the program: an old server must not answer under the new one's name."""
    first = images.archive("s3", folder=a_folder_of_programs(tmp_path / "first"))
    second = images.archive("s3", folder=a_folder_of_programs(tmp_path / "second", s3=b"another server"))
    names = {images.name_of(first), images.name_of(second)}
    assert len(names) == 2
    assert all(re.fullmatch(r"localhost/everstep-devcluster/s3:[0-9a-f]{16}", name) for name in names)


def test_the_image_of_pause_has_the_name_that_containerd_is_configured_with(tmp_path: Path) -> None:
    archive = images.archive("pause", folder=a_folder_of_programs(tmp_path / "programs"))
    assert images.name_of(archive) == images.PAUSE


def test_an_archive_holds_the_program_and_digests_that_are_true(tmp_path: Path) -> None:
    """containerd verifies each of them, and refuses an image of which one is wrong."""
    with tarfile.open(images.archive("s3", folder=a_folder_of_programs(tmp_path / "programs"))) as tar:
        files = {member.name: read(tar, member) for member in tar}
    (image,) = json.loads(files["manifest.json"])
    config_bytes, layer = files[image["Config"]], files[image["Layers"][0]]
    config: dict[str, Any] = json.loads(config_bytes)
    assert image["Config"] == f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"] == {"Entrypoint": ["/s3"], "User": "65532:65532"}
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        (program,) = tar.getmembers()
        assert read(tar, program) == b"the server"
    assert (program.name, program.mode, program.uid, program.gid, program.mtime) == ("s3", 0o755, 0, 0, 0)


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def test_only_our_programs_have_images(tmp_path: Path) -> None:
    with pytest.raises(DevclusterError, match=r"no image of helm; choose pause, probe, s3"):
        images.archive("helm", folder=tmp_path)


# -- of others --------------------------------------------------------------------------------------------------------


def test_an_archive_is_found_by_its_path(tmp_path: Path) -> None:
    archive = a_named_archive(tmp_path / "x.tar", "everstep:dev")
    assert images.find(str(archive)) == archive
    assert images.name_of(archive) == "everstep:dev"


UNUSABLE: dict[str, tuple[object, str]] = {
    "an image without a name": ([{"Config": "c", "RepoTags": None, "Layers": []}], "has no name for pods to use"),
    "an archive of nothing": ([], "is no docker archive"),
}


@pytest.mark.parametrize(("manifest", "sentence"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_archive_without_a_named_image_is_refused(tmp_path: Path, manifest: object, sentence: str) -> None:
    with pytest.raises(DevclusterError, match=sentence):
        images.find(str(an_archive(tmp_path / "x.tar", manifest)))


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("text")
    with pytest.raises(DevclusterError, match=r"x\.tar is no docker archive"):
        images.find(str(tmp_path / "x.tar"))


def test_a_path_where_nothing_lies_is_not_taken_for_a_name(tmp_path: Path) -> None:
    with pytest.raises(DevclusterError, match=r"There is no archive .*/missing\.tar"):
        images.find(str(tmp_path / "missing.tar"))


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which buildah, podman and docker would be found; archives are saved below the same folder."""
    programs.search_only(monkeypatch, tmp_path / "bin")
    monkeypatch.setattr(images, "CACHE", tmp_path / "cache")
    return tmp_path / "bin"


def install_docker(stores: Path, *, identity: str) -> None:
    """A docker that has one image, everstep:dev, and notes what it saves."""
    archive = a_named_archive(stores.with_name(f"{identity}.tar"), "everstep:dev")
    programs.install(
        stores,
        "docker",
        f"""
case "$1 $2" in
"image inspect") [ "$4" = everstep:dev ] && echo sha256:{identity} || {{ echo "No such image: $4" >&2; exit 1; }};;
"save --output="*) echo saved >> {stores}/../saved; cp {archive} "${{2#--output=}}";;
esac""",
    )


def saved(stores: Path) -> int:
    return len((stores.parent / "saved").read_text().splitlines())


def test_an_image_of_docker_is_saved_once(stores: Path) -> None:
    install_docker(stores, identity="1" * 64)
    first = images.find("everstep:dev")
    assert images.name_of(first) == "everstep:dev"
    assert images.find("everstep:dev") == first
    assert saved(stores) == 1


def test_an_image_that_was_built_again_replaces_the_archive_of_the_old_one(stores: Path) -> None:
    """An archive may have 6 GB: two of them are one too many."""
    install_docker(stores, identity="1" * 64)
    old = images.find("everstep:dev")
    install_docker(stores, identity="2" * 64)
    new = images.find("everstep:dev")
    assert list(new.parent.iterdir()) == [new]
    assert new != old


def test_an_unknown_image_is_reported_with_what_every_store_says(stores: Path) -> None:
    install_docker(stores, identity="1" * 64)
    programs.install(stores, "buildah", 'echo "image not known" >&2; exit 125')
    with pytest.raises(DevclusterError) as refused:
        images.find("everstep:typo")
    assert str(refused.value) == (
        "everstep:typo is no file and no image here; build it first, or correct the name.\n"
        "  buildah: image not known\n  docker: No such image: everstep:typo"
    )


def test_a_machine_without_a_builder_is_told_so(stores: Path) -> None:
    with pytest.raises(DevclusterError, match=r"everstep:dev is no file, and there is no buildah, podman or docker"):
        images.find("everstep:dev")
    assert not stores.with_name("cache").exists()


def test_an_image_of_buildah_keeps_the_name_that_was_asked_for(stores: Path) -> None:
    """Its store calls it localhost/everstep:dev, and a pod that says everstep:dev would not find that."""
    programs.install(
        stores,
        "buildah",
        f"""
case "$1" in
inspect) echo {"3" * 64};;
push) echo "$2 ${{3%%:*}} ${{3##*/.draft-*.tar:}}" > {stores}/../pushed; target="${{3#docker-archive:}}"
      cp {a_named_archive(stores.with_name("x.tar"), "everstep:dev")} "${{target%%:*}}";;
esac""",
    )
    assert images.name_of(images.find("everstep:dev")) == "everstep:dev"
    assert (stores.parent / "pushed").read_text() == "everstep:dev docker-archive everstep:dev\n"


def test_a_store_that_cannot_save_leaves_no_half_archive(stores: Path) -> None:
    script = 'case "$1" in image) echo sha256:1;; *) echo "disk full" >&2; echo half > "${2#--output=}"; exit 1;; esac'
    programs.install(stores, "docker", script)
    with pytest.raises(DevclusterError, match=r"docker cannot save everstep:dev to .*: disk full"):
        images.find("everstep:dev")
    assert list((stores.with_name("cache") / "images").iterdir()) == []


# -- kept for nodes that boot later -----------------------------------------------------------------------------------


def test_a_kept_archive_replaces_the_one_of_the_same_name_only(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    first = images.keep(a_named_archive(tmp_path / "1.tar", "everstep:dev"), folder)
    other = images.keep(a_named_archive(tmp_path / "2.tar", "other:dev"), folder)
    again = images.keep(a_named_archive(tmp_path / "3.tar", "everstep:dev"), folder)
    assert again == first
    assert set(folder.iterdir()) == {first, other}
    assert images.keep(first, folder) == first


def test_a_kept_archive_stays_as_it_was_when_its_owner_writes_the_file_again(tmp_path: Path) -> None:
    archive = a_named_archive(tmp_path / "x.tar", "everstep:dev")
    kept = images.keep(archive, tmp_path / "kept")
    a_named_archive(archive, "everstep:next")
    assert images.name_of(kept) == "everstep:dev"


def test_an_archive_that_we_saved_ourselves_takes_no_room_twice(stores: Path) -> None:
    install_docker(stores, identity="1" * 64)
    archive = images.find("everstep:dev")
    assert images.keep(archive, stores.with_name("kept")).samefile(archive)
