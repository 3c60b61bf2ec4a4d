"""The one port answers members, Prometheus and the kubelet."""

import asyncio
from pathlib import Path

import aiohttp

from tests.unit.agent.stage import Stage, is_done, play, trains


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
        for part in ("imports", "rehearsal"):
            assert f'everstep_start_seconds{{stage="{part}",{labels}}}' in pages["metrics"][1]

    play(scenario, Stage(tmp_path, {"steps": 3}))
