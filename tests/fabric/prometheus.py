"""A real Prometheus that scrapes what a test names, and its answers."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from devcluster.build import binaries
from devcluster.suites import PROMETHEUS

_START_S = 30.0
_STOP_S = 10.0
_CALL_S = 10.0
_ASK_AGAIN_S = 0.1

_CONFIGURATION = """
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: everstep
    file_sd_configs: [{files: [targets.json]}]
"""
"""Often enough for a rate over some seconds. File names are relative to that of the configuration."""

Sample = tuple[dict[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """Asks it by its HTTP interface."""

    url: str
    session: aiohttp.ClientSession

    async def query(self, expr: str) -> list[Sample]:
        """The series that the expression has now."""
        data = await self._get("query", {"query": expr})
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    async def values(self, series: str, label: str) -> list[str]:
        """The values of a label of the series."""
        found: list[str] = await self._get(f"label/{label}/values", {"match[]": series})
        return found

    async def metadata(self) -> dict[str, list[dict[str, str]]]:
        """Type and help of each metric."""
        found: dict[str, list[dict[str, str]]] = await self._get("metadata", {})
        return found

    async def until(self, expr: str, *, is_there: bool = True, within_s: float = 30.0) -> list[Sample]:
        """Wait until the expression has series, or has none."""
        try:
            async with asyncio.timeout(within_s):
                while bool(samples := await self.query(expr)) is not is_there:  # noqa: ASYNC110 - it has no events
                    await asyncio.sleep(_ASK_AGAIN_S)
        except TimeoutError as error:
            targets = (await self._get("targets", {"state": "active"}))["activeTargets"]
            seen = {each["labels"]["instance"]: each["lastError"] for each in targets}
            raise AssertionError(
                f"{'no' if is_there else 'still'} data after {within_s:.0f} s: {expr}; scrapes: {seen}"
            ) from error
        return samples

    async def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", answer
        return answer["data"]


@asynccontextmanager
async def scraping(targets: Mapping[str, Sequence[str]], folder: Path) -> AsyncIterator[Prometheus]:
    """Scrape these addresses, by the value of the label `component`, until the context ends."""
    program = await asyncio.to_thread(binaries, suite=PROMETHEUS) / "prometheus"
    configuration = await asyncio.to_thread(_configure, targets, folder)
    process = await asyncio.create_subprocess_exec(
        str(program),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        stderr=PIPE,
    )
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(_START_S):
            port = await _port(process)
        reading = asyncio.create_task(_read_on(process))
        timeout = aiohttp.ClientTimeout(total=_CALL_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Prometheus(url=f"http://127.0.0.1:{port}", session=session)
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if reading is not None:
            await reading


def _configure(targets: Mapping[str, Sequence[str]], folder: Path) -> Path:
    folder.mkdir()
    found = [{"targets": list(addresses), "labels": {"component": name}} for name, addresses in targets.items()]
    (folder / "targets.json").write_text(json.dumps(found))
    path = folder / "prometheus.yaml"
    path.write_text(_CONFIGURATION)
    return path


async def _port(process: Process) -> int:
    """Read what it prints until it is ready; return the port that it chose."""
    assert process.stderr is not None
    printed, port = "", None
    async for line in process.stderr:
        text = line.decode()
        printed += text
        if (found := re.search(r'msg="Listening on".*address=\S+:(\d+)', text)) is not None:
            port = int(found[1])
        if "Server is ready to receive web requests" in text and port is not None:
            return port
    raise AssertionError(f"Prometheus ended:\n{printed}")


async def _read_on(process: Process) -> None:
    """Take what it prints, so that it never waits for a reader."""
    assert process.stderr is not None
    async for _ in process.stderr:
        pass
