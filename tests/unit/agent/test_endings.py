"""A worker that shall end leaves its world as a whole if there is time, and exits with 0."""

from pathlib import Path

import pytest

from everstep_api.wire.sync import AgentState, Pause, Phase, Stop
from tests.unit.agent.stage import Stage, has_ended, is_ready, play, trains


@pytest.mark.parametrize("how", ["stop", "410"])
def test_a_worker_that_is_not_wanted_ends_its_ranks_and_exits_with_0(tmp_path: Path, how: str) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(1, agent)
        await stage.operator.hear(agent.pod, trains)
        pid = await agent.pid(world=1, rank=0)
        if how == "stop":
            await stage.operator.say(Stop(), agent.pod)
        else:
            await stage.operator.change(lambda: setattr(stage.operator, "status", 410))
        assert await agent.end() == 0
        assert await has_ended(pid)

    play(scenario, Stage(tmp_path))


def test_a_worker_that_waits_exits_at_once_on_sigterm(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.operator.hear(agent.pod, is_ready)
        agent.signal()
        assert await agent.end() == 0
        assert stage.operator.newest(agent.pod).state is AgentState.STOPPING

    play(scenario, Stage(tmp_path))


def test_sigterm_is_reported_and_the_worker_exits_once_its_world_is_paused(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(1, agent)
        await stage.operator.hear(agent.pod, trains)
        agent.signal()
        report = await stage.operator.hear(agent.pod, lambda report: report.state is AgentState.STOPPING)
        assert report.phase is Phase.TRAIN
        await stage.operator.say(Pause(world=1, durable=True), agent.pod)
        assert await agent.end() == 0
        last = stage.operator.newest(agent.pod)
        assert (last.state, last.phase, last.failure) == (AgentState.STOPPING, None, None)
        assert last.durable is not None

    play(scenario, Stage(tmp_path))


def test_sigterm_without_an_operator_pauses_the_world_ten_seconds_before_the_end(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start(EVERSTEP_GRACE_SECONDS="11")
        await stage.run(1, agent)
        await stage.operator.hear(agent.pod, trains)
        await stage.operator.close()
        agent.signal()
        await agent.see(r"Stopping after a step: world=1 durable=True")
        assert await agent.end() == 0

    play(scenario, Stage(tmp_path))
