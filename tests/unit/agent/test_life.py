"""Agents as processes, with an operator and ranks that only act: from their start through worlds to their end."""

import os
import signal
from pathlib import Path

import pytest

from everstep_api.wire.sync import AgentState, DurableCheckpoint, FailureCause, Finish, Pause, Resumed, Wait
from tests.unit.agent.stage import Stage, has_ended, has_failed, is_alive, is_done, is_ready, play, trains


def test_two_workers_live_from_starting_to_finish(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        operator = stage.operator
        one, two = await stage.start(0), await stage.start(1)
        await stage.run(1, one, two)
        first, second = await operator.hear(one.pod, is_done), await operator.hear(two.pod, is_done)
        assert [operator.heard[one.pod][0].state, operator.heard[one.pod][0].world] == [AgentState.STARTING, None]
        states = list(dict.fromkeys(report.state for report in operator.heard[two.pod]))
        assert states == [AgentState.STARTING, AgentState.READY, AgentState.TRAINING, AgentState.DONE]
        assert (first.output, second.output) == ("file:///model", None)
        assert (first.progress and first.progress.step, first.most_ranks, first.world) == (30, 16, 1)
        await one.see(r"entered world=1 rank=0 size=2")
        await two.see(r"joined port=10001 resume=None")
        await operator.say(Finish(), one.pod, two.pod)
        assert [await one.end(), await two.end()] == [0, 0]

    play(scenario, Stage(tmp_path, {"steps": 30}))


def test_a_killed_rank_is_reported_and_the_next_world_takes_spares(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        one, two = await stage.start(0), await stage.start(1)
        await stage.run(1, one, two, ranks=2)
        await stage.operator.hear(two.pod, trains)
        pids = [await agent.pid(world=1, rank=rank) for agent, rank in ((one, 0), (one, 1), (two, 2), (two, 3))]
        os.kill(pids[3], signal.SIGKILL)
        report = await stage.operator.hear(two.pod, has_failed)
        assert report.failure is not None
        assert report.failure.cause is FailureCause.RANK_KILLED
        assert (report.failure.world, report.failure.rank, report.failure.signal) == (1, 3, 9)
        assert report.state is AgentState.TRAINING
        assert is_alive(pids[2]), "what is left of a world ends by the next directive"

        await stage.run(2, one, two, ranks=2)
        report = await stage.operator.hear(two.pod, lambda report: report.world == 2 and trains(report))
        assert report.failure is None
        assert report.resumed == Resumed(world=1, step=2, tier="Durable")
        assert all([await has_ended(pid) for pid in pids])
        assert await two.pid(world=2, rank=3) not in pids
        await two.see(r"^rank 3: joined port=10002")

    play(scenario, Stage(tmp_path, ranks=2))


def test_a_paused_worker_is_ready_and_enters_the_next_world_but_never_the_same(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        operator = stage.operator
        agent = await stage.start()
        run = await stage.run(1, agent)
        await operator.hear(agent.pod, trains)
        await operator.say(Pause(world=1, durable=True), agent.pod)
        report = await operator.hear(agent.pod, is_ready)
        assert report.durable is not None
        assert report.progress is not None
        assert report.durable == DurableCheckpoint(world=1, step=report.progress.step, uri="file:///c", commit_time="t")
        assert (report.world, report.phase, report.failure) == (1, None, None)

        await operator.say(run, agent.pod)
        await operator.say(Wait(), agent.pod)
        await stage.run(2, agent)
        report = await operator.hear(agent.pod, trains)
        assert report.world == 2
        assert sum("entered world=1" in line for line in agent.printed) == 1

    play(scenario, Stage(tmp_path))


def test_wait_ends_the_ranks_and_keeps_the_worker(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(1, agent)
        await stage.operator.hear(agent.pod, trains)
        pid = await agent.pid(world=1, rank=0)
        await stage.operator.say(Wait(), agent.pod)
        await stage.operator.hear(agent.pod, is_ready)
        assert await has_ended(pid)

    play(scenario, Stage(tmp_path))


@pytest.mark.parametrize("how", ["closed", "503"])
def test_training_goes_on_while_the_operator_is_away(tmp_path: Path, how: str) -> None:
    async def scenario(stage: Stage) -> None:
        operator = stage.operator
        agent = await stage.start()
        await stage.run(1, agent)
        before = await operator.hear(agent.pod, trains)
        assert before.progress is not None
        if how == "closed":
            await operator.close()
        else:
            await operator.change(lambda: setattr(operator, "status", 503))
        await agent.see(r"The operator gives no answer.*call=report")
        heard = len(operator.heard[agent.pod])
        if how == "closed":
            await operator.open()
        else:
            await operator.change(lambda: setattr(operator, "status", 200))
        after = await operator.hear(agent.pod, lambda _: len(operator.heard[agent.pod]) > heard)
        assert after.progress is not None
        assert (after.state, after.world, after.boot_id) == (AgentState.TRAINING, 1, before.boot_id)
        assert after.progress.step > before.progress.step
        await operator.say(Pause(world=1), agent.pod)
        await operator.hear(agent.pod, is_ready)

    play(scenario, Stage(tmp_path))


def test_a_token_that_was_exchanged_and_a_new_authority_are_taken_up(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        operator = stage.operator
        agent = await stage.start()
        await operator.hear(agent.pod, is_ready)
        (tmp_path / "token.new").write_text("second\n")
        (tmp_path / "token.new").replace(tmp_path / "token")
        await operator.change(lambda: setattr(operator, "token", "second"))
        for _ in range(3):
            await operator.hear_again(agent.pod)
        assert operator.tokens[-1] == "second"

        await operator.close()
        await operator.open("another-ca")
        await operator.hear_again(agent.pod)

    play(scenario, Stage(tmp_path))


def test_a_container_that_starts_again_does_not_enter_the_world_that_it_was_in(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        before = await stage.start()
        await stage.run(1, before)
        old = await stage.operator.hear(before.pod, trains)
        before.signal(signal.SIGKILL)
        await before.end()
        after = await stage.start()
        new = await stage.operator.hear(
            after.pod, lambda report: report.boot_id != old.boot_id and report.state is AgentState.READY
        )
        assert new.world == 1
        await stage.run(2, after)
        await stage.operator.hear(after.pod, lambda report: report.world == 2 and trains(report))
        assert not any("entered world=1" in line for line in after.printed)

    play(scenario, Stage(tmp_path))
