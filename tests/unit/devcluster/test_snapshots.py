"""A node's snapshots refer to the layers that its cluster keeps."""

import json
from pathlib import Path

from devcluster import snapshots
from devcluster.image_layers import Layer

LAYERS = [Layer(digest=f"sha256:{number:064x}", size_bytes=1) for number in range(3)]


class Containerd:
    """Answers ctr's questions about snapshots, as far as they are asked here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parents: dict[str, str] = {}
        self.links: dict[str, Path] = {}
        self.made = 0

    def __call__(self, *arguments: str) -> str:
        match arguments:
            case ("snapshots", "list"):
                return "KEY PARENT KIND\n" + "".join(
                    f"{name} {parent} Committed\n" for name, parent in self.parents.items()
                )
            case ("snapshots", "prepare", "--mounts", key, *parent):
                assert key not in self.parents
                self.parents[key] = parent[0] if parent else ""
                self.made += 1
                written = self.folder / str(self.made) / "fs"
                written.mkdir(parents=True)
                self.links[key] = written
                options = [f"lowerdir={self.folder}", f"upperdir={written}"]
                mount = {"Type": "overlay", "Options": options} if parent else {"Type": "bind", "Source": str(written)}
                return json.dumps([mount])
            case ("snapshots", "commit", name, key):
                self.parents[name] = self.parents.pop(key)
                self.links[name] = self.links.pop(key)
            case ("snapshots", "remove", key):
                del self.parents[key]
            case _:
                raise AssertionError(arguments)
        return ""


def test_each_snapshot_is_a_link_to_its_layer_above_that_of_its_parent(tmp_path: Path) -> None:
    containerd = Containerd(tmp_path / "node")
    snapshots.add(LAYERS, tmp_path / "images", ctr=containerd)
    names = list(containerd.parents)
    assert list(containerd.parents.values()) == ["", *names[:-1]]
    assert [containerd.links[name].readlink() for name in names] == [
        layer.folder(tmp_path / "images") for layer in LAYERS
    ]


def test_layers_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    containerd = Containerd(tmp_path / "node")
    snapshots.add(LAYERS[:2], tmp_path / "images", ctr=containerd)
    made = dict(containerd.links)
    snapshots.add(LAYERS, tmp_path / "images", ctr=containerd)
    assert len(containerd.links) == 3
    assert {name: containerd.links[name] for name in made} == made


def test_what_a_call_left_that_was_cut_off_is_in_nobodys_way(tmp_path: Path) -> None:
    containerd = Containerd(tmp_path / "node")
    containerd("snapshots", "prepare", "--mounts", "everstep-draft")
    snapshots.add(LAYERS, tmp_path / "images", ctr=containerd)
    assert len(containerd.parents) == 3


def test_names_of_snapshots_are_those_of_the_oci_specification() -> None:
    """By hand: `printf 'sha256:a sha256:b' | sha256sum`."""
    assert snapshots.chain_id("", "sha256:a") == "sha256:a"
    assert (
        snapshots.chain_id("sha256:a", "sha256:b")
        == "sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8"
    )
