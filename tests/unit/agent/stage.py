"""The stage for agents, which are processes of their own, and what a test waits for there."""

import asyncio
import os
import re
import select
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from everstep_api.wire.sync import AgentState, Member, Phase, Report, Run
from tests.unit.agent.sync_api import PATIENCE_S, Manifest, Operator

ACTORS = Path(__file__).with_name("actors.py")
_PR_SET_CHILD_SUBREAPER = 36
"""Linux: orphans below a process become its children, as they become those of process 1 (prctl(2))."""


@dataclass(slots=True, kw_only=True)
class Agent:
    """An agent as a process, and what it prints."""

    pod: str
    process: asyncio.subprocess.Process
    printed: list[str] = field(default_factory=list)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self.more:
                self.printed.append(line.decode().rstrip())
                self.more.notify_all()

    async def see(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed a line with this pattern."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.printed if (match := re.search(pattern, line))), None)

        async with asyncio.timeout(PATIENCE_S), self.more:
            match = await self.more.wait_for(found)
        assert match is not None
        return match

    async def pid(self, *, world: int, rank: int) -> int:
        """The process of a rank."""
        return int((await self.see(rf"entered world={world} rank={rank} .*pid=(\d+)"))[1])

    async def end(self) -> int:
        """Wait for its exit code."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)


class Stage:
    """An operator and agents; all of them are gone after the test."""

    def __init__(self, folder: Path, play: Manifest | None = None, *, ranks: int | str = "auto") -> None:
        self.folder = folder
        self.operator = Operator(folder, {"workers": {"processesPerWorker": ranks}, "play": play or {}})
        self.agents: list[Agent] = []
        self.readers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.operator.open()
        (self.folder / "token").write_text("first\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        for agent in self.agents:
            if agent.process.returncode is None:
                agent.process.kill()
            await agent.process.wait()
        await asyncio.gather(*self.readers)
        await self.operator.close()

    def environment(self, index: int) -> dict[str, str]:
        room = self.folder / f"w{index}"
        return os.environ | {
            "EVERSTEP_SYNC_URL": f"https://127.0.0.1:{self.operator.port}",
            "EVERSTEP_NAMESPACE": "team",
            "EVERSTEP_JOB": "finetune",
            "EVERSTEP_JOB_UID": "job-uid",
            "EVERSTEP_WORKER": str(index),
            "EVERSTEP_POD_UID": f"pod-{index}",
            "EVERSTEP_POD_IP": "127.0.0.1",
            "EVERSTEP_NODE": f"node-{index}",
            "EVERSTEP_GRACE_SECONDS": "60",
            "EVERSTEP_PORT": "0",
            "EVERSTEP_TOKEN_FILE": str(self.folder / "token"),
            "EVERSTEP_CA_FILE": str(self.folder / "trusted.crt"),
            "EVERSTEP_SOCKET": str(room / "agent.sock"),
            "EVERSTEP_SHM": str(room / "shm"),
            "EVERSTEP_CACHE": str(room / "cache"),
        }

    async def start(self, index: int = 0, **environment: str) -> Agent:
        """Start the agent of a worker."""
        program = (
            "import ctypes, sys; from everstep_agent.main import main; "
            f"ctypes.CDLL(None).prctl({_PR_SET_CHILD_SUBREAPER}, 1); "
            "sys.exit(main(command=(sys.executable, sys.argv[1])))"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            str(ACTORS),
            env=self.environment(index) | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        agent = Agent(pod=f"pod-{index}", process=process)
        self.agents.append(agent)
        self.readers.append(asyncio.create_task(agent.read()))
        return agent

    async def run(self, world: int, *agents: Agent, ranks: int = 1) -> Run:
        """Let these agents be the members of a world, once all are warm."""
        members = []
        for agent in agents:
            report = await self.operator.hear(agent.pod, lambda report: report.state != "starting")
            members.append(Member(worker=report.worker, pod_uid=agent.pod, address=report.address, node=report.node))
        run = Run(world=world, members=tuple(members), ranks_per_worker=ranks, secret=f"secret-{world}")
        await self.operator.say(run, *(agent.pod for agent in agents))
        return run


async def has_ended(pid: int) -> bool:
    """Wait for the end of a process that is none of our children."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = await asyncio.to_thread(select.select, [handle], [], [], PATIENCE_S)
    finally:
        os.close(handle)
    return bool(ready)


def is_alive(pid: int) -> bool:
    """Whether a process is there that is more than a zombie."""
    return _state(pid) not in ("", "Z")


def is_reaped(pid: int) -> bool:
    """Whether nothing is left of a process, not even a zombie."""
    return not _state(pid)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_ready(report: Report) -> bool:
    return report.state is AgentState.READY


def trains(report: Report) -> bool:
    return report.state is AgentState.TRAINING and report.progress is not None and report.phase is Phase.TRAIN


def has_failed(report: Report) -> bool:
    return report.failure is not None


def is_done(report: Report) -> bool:
    return report.state is AgentState.DONE


def play(scenario: Callable[[Stage], Awaitable[None]], stage: Stage) -> None:
    """Open the stage, and let the scenario run its course within a minute."""

    async def perform() -> None:
        async with asyncio.timeout(60), stage:
            await scenario(stage)

    asyncio.run(perform())
