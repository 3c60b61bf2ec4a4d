"""A cluster finds its place beside the others, and what cannot be had is refused."""

from pathlib import Path

import pytest

from devcluster.problem import DevclusterError
from devcluster.record import Record, settle
from devcluster.settings import SLOTS

KNOWN = Record(slot=2, nodes=3, fingerprint="old")


@pytest.mark.parametrize(
    ("known", "nodes", "slot", "taken", "becomes"),
    [
        pytest.param(None, None, None, {}, (0, 3), id="the first cluster"),
        pytest.param(None, 1, None, {0: "a", 1: "b"}, (2, 1), id="the first free place beside others"),
        pytest.param(None, None, 7, {0: "a"}, (7, 3), id="the place that was asked for"),
        pytest.param(KNOWN, None, None, {0: "a"}, (2, 3), id="one that is there stays as it is"),
        pytest.param(KNOWN, 5, 2, {}, (2, 5), id="one that is there grows"),
    ],
)
def test_a_cluster_settles(
    known: Record | None, nodes: int | None, slot: int | None, taken: dict[int, str], becomes: tuple[int, int]
) -> None:
    settled = settle("c", known, nodes=nodes, slot=slot, fingerprint="new", taken=taken)
    assert (settled.slot, settled.nodes, settled.fingerprint) == (*becomes, "new")


@pytest.mark.parametrize(
    ("known", "nodes", "slot", "taken", "sentence"),
    [
        pytest.param(None, 0, None, {}, "0 nodes are asked for; choose 1 to 50.", id="no nodes"),
        pytest.param(None, 51, None, {}, "51 nodes are asked for; choose 1 to 50.", id="too many nodes"),
        pytest.param(None, None, 16, {}, "Slot 16 is asked for; choose 0 to 15.", id="a slot beyond the last"),
        pytest.param(None, None, -1, {}, "Slot -1 is asked for; choose 0 to 15.", id="a slot before the first"),
        pytest.param(
            None,
            None,
            1,
            {1: "a"},
            "Slot 1 is taken by cluster a; choose another one, or leave --slot out.",
            id="taken",
        ),
        pytest.param(KNOWN, None, 3, {}, "Cluster c is in slot 2; run `down` before moving it.", id="a move"),
        pytest.param(KNOWN, 2, None, {}, "Cluster c has 3 nodes; run `down` before making it smaller.", id="shrinking"),
        pytest.param(
            KNOWN,
            None,
            None,
            {2: "/elsewhere/c"},
            "Slot 2 is taken by cluster /elsewhere/c; choose another one, or leave --slot out.",
            id="a cluster of another state folder has come into its place",
        ),
        pytest.param(
            None,
            None,
            None,
            dict.fromkeys(range(SLOTS), "a"),
            "All 16 slots are taken; remove a cluster with `down --name NAME`.",
            id="no place left",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(
    known: Record | None, nodes: int | None, slot: int | None, taken: dict[int, str], sentence: str
) -> None:
    with pytest.raises(DevclusterError) as refused:
        settle("c", known, nodes=nodes, slot=slot, fingerprint="new", taken=taken)
    assert str(refused.value) == sentence


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert Record.read(tmp_path / "c") is None
    KNOWN.write(tmp_path / "c")
    assert Record.read(tmp_path / "c") == KNOWN


@pytest.mark.parametrize("text", ["{", "{}", '{"slot": 1, "nodes": 2, "fingerprint": "a", "since": 3}', "[]"])
def test_a_record_that_cannot_be_read_says_how_to_go_on(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "cluster.json").write_text(text)
    with pytest.raises(DevclusterError, match="cannot be read; run `python -m devcluster down --name c`"):
        Record.read(folder)
