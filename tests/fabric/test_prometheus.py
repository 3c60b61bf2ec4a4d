"""A real Prometheus scrapes a running job and its operator, and has an answer to every query of the dashboard."""

import asyncio
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from everstep_operator.probes import probes
from monitoring.__main__ import FOLDER
from tests.fabric.job import FabricJob, a_small_job, running
from tests.fabric.prometheus import Prometheus, scraping
from tests.unit.metrics.exported import of_agent, of_operator

CHOSEN = {"$namespace": "default", "$job": "small", "$__rate_interval": "5s", "$__range": "5m"}
"""What Grafana puts in place of its variables."""

ELSEWHERE = {
    "everstep_api_requests_total",  # there is no API server
    "everstep_api_request_seconds",
    "everstep_device_memory_bytes",  # there is no device
}


def chosen(text: str) -> str:
    for name, value in CHOSEN.items():
        text = text.replace(name, value)
    return text


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads((FOLDER / "job.json").read_text(encoding="utf-8"))
    return board


def queries() -> Iterator[tuple[str, str]]:
    """Panel and query, as Grafana would ask it."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], chosen(target["expr"])


def test_every_series_and_every_query_of_the_dashboard_is_answered_and_series_go_with_the_job(
    bucket: Path, tmp_path: Path
) -> None:
    builder = (
        a_small_job(bucket, workers=2, steps=5000)
        .setting("spec.recipe.data.validation", {"fraction": 0.1})
        .setting("spec.recipe.evaluation", {"everySteps": 5})
    )

    async def play() -> None:
        async with running(builder, bucket, tmp_path / "home") as job:
            await job.at_step(7)
            agents = await job.plane.agents(job.key)
            workers = [agent.report.address for agent in agents.values()]
            async with (
                probes(0, job.plane.control.metrics) as port,
                scraping({"worker": workers, "operator": [f"127.0.0.1:{port}"]}, tmp_path / "prometheus") as prometheus,
            ):
                await injure(job, prometheus)
                await look_at_names_and_labels(prometheus)
                await ask_what_the_dashboard_asks(prometheus)
                found = await job.plane.cluster.read_job(job.key)
                assert found is not None
                await job.plane.cluster.delete_job(found)
                # A scrape that fails takes the series away, too, so that of the operator has to succeed meanwhile.
                left = '{training_job="small"} or absent(up{component="operator"} == 1)'
                await prometheus.until(left, is_there=False, within_s=60)

    asyncio.run(play())


async def injure(job: FabricJob, prometheus: Prometheus) -> None:
    """Let a rank die after a scrape, and the next world train for some seconds."""
    await prometheus.until('everstep_recoveries_total{cause="RankKilled"} == 0')
    await job.at_step(12)
    job.kill_rank(1)
    status = await job.at_step(13, world=2)
    assert status.launch_milliseconds is not None
    assert None not in status.launch_milliseconds.model_dump().values()
    await prometheus.until('everstep_recoveries_total{cause="RankKilled"} == 1')
    await prometheus.until("everstep_ranks_lost_total == 1")
    await prometheus.until("sum(everstep_lost_steps_total) >= 0")
    [(_, recovered_s)] = await prometheus.until('sum(everstep_recovery_seconds_total{stage="first_step"}) > 0')
    assert recovered_s < 60


async def look_at_names_and_labels(prometheus: Prometheus) -> None:
    """What is documented is there under its name, type and labels, and nothing collides with Prometheus' own labels."""
    told = await prometheus.metadata()
    for each in [*of_agent(), *of_operator()]:
        if each.name in ELSEWHERE:
            continue
        base = each.name.removesuffix("_total") if each.name not in told else each.name
        assert told[base][0] == {"type": each.kind, "help": each.says, "unit": ""}
        series = f"{each.name}_count" if each.kind == "histogram" else each.name
        for labels, _ in await prometheus.until(series):
            own = {name for name in labels if name not in {"__name__", "component", "instance", "job"}}
            assert own == set(re.findall(r"`(\w+)`", each.labels)), labels
            assert labels["job"] == "everstep", "the label of Prometheus is its own"
    losses = await prometheus.until("everstep_loss")
    assert [labels["worker"] for labels, _ in losses] == ["0"], "one line a job"
    await prometheus.until("count(count by (worker) (everstep_step)) == 2")


async def ask_what_the_dashboard_asks(prometheus: Prometheus) -> None:
    for title, query in queries():
        samples = await prometheus.until(query)
        assert not any(math.isnan(value) for _, value in samples), f"{title}: {query} is no number: {samples}"
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert found is not None
            assert CHOSEN[f"${variable['name']}"] in await prometheus.values(chosen(found[1]), found[2])
