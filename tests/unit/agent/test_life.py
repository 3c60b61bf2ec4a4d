"""Agents as processes, with an operator and ranks that only act: what they report and do until they exit."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from everstep_api.wire.sync import (
    AgentState,
    DurableCheckpoint,
    FailureCause,
    Finish,
    Pause,
    Phase,
    Report,
    Resumed,
    Stop,
    Wait,
)
from tests.unit.agent.stage import Stage, has_ended, is_alive, is_reaped

READY = AgentState.READY


def trains(report: Report) -> bool:
    return report.state is AgentState.TRAINING and report.progress is not None and report.phase is Phase.TRAIN


def has_failed(report: Report) -> bool:
    return report.failure is not None


def is_done(report: Report) -> bool:
    return report.state is AgentState.DONE


def play(scenario: Callable[[Stage], Awaitable[None]], stage: Stage) -> None:
    async def perform() -> None:
        async with asyncio.timeout(60), stage:
            await scenario(stage)

    asyncio.run(perform())


def test_two_workers_live_from_starting_to_finish(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        operator = stage.operator
        one, two = await stage.start(0), await stage.start(1)
        await stage.run(1, one, two)
        first, second = await operator.hear(one.pod, is_done), await operator.hear(two.pod, is_done)
        assert [operator.heard[one.pod][0].state, operator.heard[one.pod][0].world] == [AgentState.STARTING, None]
        states = list(dict.fromkeys(report.state for report in operator.heard[two.pod]))
        assert states == [AgentState.STARTING, READY, AgentState.TRAINING, AgentState.DONE]
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
        report = await operator.hear(agent.pod, lambda report: report.state is READY)
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
        await stage.operator.hear(agent.pod, lambda report: report.state is READY)
        assert await has_ended(pid)

    play(scenario, Stage(tmp_path))


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
        await operator.hear(agent.pod, lambda report: report.state is READY)

    play(scenario, Stage(tmp_path))


def test_a_token_that_was_exchanged_and_a_new_authority_are_taken_up(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        operator = stage.operator
        agent = await stage.start()
        await operator.hear(agent.pod, lambda report: report.state is READY)
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


def test_the_store_of_a_world_is_told_to_who_has_its_secret(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(2, agent)
        address = (await stage.operator.hear(agent.pod, trains)).address

        async def ask(world: int, secret: str) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {secret}"}
            url = f"http://{address}/worlds/{world}"
            async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
                return response.status, await response.text()

        assert (await ask(2, "secret-1"))[0] == 403
        assert (await ask(2, ""))[0] == 403
        assert (await ask(1, "secret-1"))[0] == 404
        status, text = await ask(2, "secret-2")
        assert status == 200
        assert '"port":10002' in text
        held = asyncio.create_task(ask(3, "secret-3"))
        await stage.run(3, agent)
        assert (await held)[0] == 200
        assert not any("secret" in line for line in agent.printed), "secrets never reach a log"

    play(scenario, Stage(tmp_path))


def test_the_port_answers_prometheus_and_the_kubelet(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.run(1, agent)
        address = (await stage.operator.hear(agent.pod, is_done)).address
        async with aiohttp.ClientSession() as session:
            pages = {}
            for page in ("metrics", "healthz", "readyz"):
                async with session.get(f"http://{address}/{page}") as response:
                    pages[page] = (response.status, await response.text())
        assert [pages["healthz"], pages["readyz"]] == [(200, "ok\n"), (200, "ok\n")]
        labels = 'training_job="finetune",training_namespace="team",worker="0"'
        assert f"everstep_tokens_total{{{labels}}} 300.0" in pages["metrics"][1]
        assert f'everstep_step{{local_rank="0",{labels}}} 3.0' in pages["metrics"][1]
        assert f'everstep_agent_state{{state="done",{labels}}} 1.0' in pages["metrics"][1]

    play(scenario, Stage(tmp_path, {"steps": 3}))


def test_a_worker_that_waits_exits_at_once_on_sigterm(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        agent = await stage.start()
        await stage.operator.hear(agent.pod, lambda report: report.state is READY)
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


def test_a_container_that_starts_again_does_not_enter_the_world_that_it_was_in(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        before = await stage.start()
        await stage.run(1, before)
        old = await stage.operator.hear(before.pod, trains)
        before.signal(signal.SIGKILL)
        await before.end()
        after = await stage.start()
        new = await stage.operator.hear(
            after.pod, lambda report: report.boot_id != old.boot_id and report.state is READY
        )
        assert new.world == 1
        await stage.run(2, after)
        await stage.operator.hear(after.pod, lambda report: report.world == 2 and trains(report))
        assert not any("entered world=1" in line for line in after.printed)

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
