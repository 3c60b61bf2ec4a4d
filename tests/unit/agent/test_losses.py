"""What is lost is told with its cause, and what cannot be mended here ends the agent for another start."""

import os
import signal
from pathlib import Path

import pytest

from everstep_api.wire.sync import FailureCause
from tests.unit.agent.stage import Stage, has_ended, has_failed, is_reaped, play, trains


@pytest.mark.parametrize(
    ("act", "cause", "words"),
    [
        pytest.param("exit", FailureCause.RANK_EXITED, ("Rank 0 ended with exit code 42", "the last line"), id="exit"),
        pytest.param("raise", FailureCause.RANK_EXITED, ("bad row", "Traceback: bad row"), id="exception"),
        pytest.param("refuse", FailureCause.REFUSED, ("spec.recipe is odd; make it even.", ""), id="refusal"),
        pytest.param("fence", FailureCause.FENCED, ("World 7 exists in the storage", ""), id="fence"),
        pytest.param("hang up", FailureCause.RANK_EXITED, ("Rank 0 closed its connection", ""), id="hanging up"),
        pytest.param("leave a child", FailureCause.RANK_KILLED, ("ended by SIGKILL", ""), id="a child that holds on"),
        pytest.param("babble", FailureCause.RANK_EXITED, ("Rank 0 closed its connection", ""), id="nonsense"),
    ],
)
def test_a_lost_rank_has_its_cause_and_last_words_in_the_report(
    tmp_path: Path, act: str, cause: FailureCause, words: tuple[str, str]
) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(1, agent)
        failure = (await stage.operator.hear(agent.pod, has_failed)).failure
        assert failure is not None
        assert failure.cause is cause
        assert failure.message.startswith(words[0]) or words[0] in failure.message
        assert words[1] in failure.last_words
        assert "\x1b" not in failure.last_words

    play(scenario, Stage(tmp_path, {"by": 0, "act": act}))


def test_an_agent_whose_fork_server_dies_tells_it_and_exits_for_another_start(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(1, agent)
        await stage.operator.hear(agent.pod, trains)
        rank = await agent.pid(world=1, rank=0)
        os.kill(int((await agent.see(r"server pid=(\d+)"))[1]), signal.SIGKILL)
        assert await agent.end() == 1
        failure = stage.operator.newest(agent.pod).failure
        assert failure is not None
        assert failure.message == "The fork server was ended by SIGKILL; its container starts again."
        assert await has_ended(rank)

    play(scenario, Stage(tmp_path))


def test_an_agent_whose_spares_die_exits_for_another_start(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start(SPARES="die")
        assert await agent.end() == 1
        assert sum("no room for a spare" in line for line in agent.printed) == 3

    play(scenario, Stage(tmp_path))


def test_a_child_that_a_rank_left_behind_is_reaped(tmp_path: Path) -> None:
    """Nobody else would: it is a child of process 1 from then on."""

    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(1, agent)
        pid = int((await agent.see(r"left a child pid=(\d+)"))[1])
        await stage.operator.hear(agent.pod, has_failed)
        os.kill(pid, signal.SIGKILL)
        assert await has_ended(pid)
        while not is_reaped(pid):
            await stage.operator.hear_again(agent.pod)

    play(scenario, Stage(tmp_path, {"by": 0, "act": "leave a child"}))
