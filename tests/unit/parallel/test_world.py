"""Ranks agree by what rank 0 tells and by what all hold."""

import pytest

from everstep_trainer.parallel.reduction import differing_ranks
from everstep_trainer.parallel.world import World
from tests.unit.parallel.worlds import TIMEOUT_S, run_world


def told(world: World) -> bytes:
    return world.tell("who", f"rank {world.rank}".encode, timeout_s=TIMEOUT_S)


def test_what_rank_0_tells_all_ranks_hear() -> None:
    assert run_world(3, told) == [b"rank 0"] * 3


def differing(world: World, facts: list[bytes]) -> int:
    return differing_ranks(facts[world.rank], world)


@pytest.mark.parametrize(
    ("facts", "is_same"),
    [
        pytest.param([b"a", b"a", b"a"], True, id="all hold the same"),
        pytest.param([b"a", b"b", b"a"], False, id="one holds another"),
        pytest.param([b"a", b"b", b"c"], False, id="each holds its own"),
    ],
)
def test_ranks_that_differ_are_known_to_all(facts: list[bytes], *, is_same: bool) -> None:
    counts = run_world(3, differing, facts)

    assert len(set(counts)) == 1
    assert (counts[0] == 0) is is_same


def test_a_world_alone_needs_no_group() -> None:
    world = World.alone()

    assert told(world) == b"rank 0"
    assert differing_ranks(b"a", world) == 0
    with pytest.raises(RuntimeError, match="has no group"):
        _ = world.mesh
