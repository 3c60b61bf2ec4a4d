"""Whatever dies, in whatever order: once nothing dies any more, the job soon trains with all its workers, and ends."""

from collections.abc import Callable

import pytest

from tests.builders import a_job
from tests.unit.decide.simulated import Simulation

SIZES = {size: a_job().workers(size, at_least=1).setting("spec.recovery.maxRestarts", 1000) for size in (1, 2, 3, 4)}


@pytest.mark.parametrize("seed", range(12))
def test_a_job_comes_back_from_any_sequence_of_faults(seed: int) -> None:
    simulation = Simulation(SIZES[2], seed)
    chance = simulation.chance
    faults: dict[str, Callable[[], None]] = {
        "kill a rank": simulation.kill_rank,
        "kill an agent": simulation.kill_agent,
        "lose a pod": simulation.vanish_pod,
        "evict a pod": simulation.evict_pod,
        "lose a node": simulation.lose_node,
        "crash the operator": simulation.crash_in_the_middle,
        "restart the operator": simulation.restart_operator,
        "write first": simulation.conflict,
        "scale": lambda: simulation.rescale(SIZES[chance.choice(sorted(SIZES))]),
        "suspend": lambda: simulation.rescale(SIZES[2].suspended()),
    }
    done = []
    for _ in range(300):
        simulation.tick()
        if chance.random() < 0.05:
            name = chance.choice(sorted(faults))
            done.append(f"{simulation.time:.1f} s: {name}")
            faults[name]()
    simulation.rescale(SIZES[3])
    story = "\n".join(done)
    for _ in range(1500):
        simulation.tick()
        if simulation.status.endings:
            break
    assert simulation.status.phase == "Complete", f"{simulation.status.conditions}\n{story}"
    assert simulation.status.world is not None
    assert simulation.status.world.size == 3 or simulation.time < 90, story
    steps = [step for _, step in simulation.steps_done]
    assert sorted(set(steps)) == list(range(1, max(steps) + 1)), "no step was left out"
