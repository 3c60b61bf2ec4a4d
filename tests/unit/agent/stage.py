"""The stage for agents: an operator that says what a test tells it to, and agents as processes of their own."""

import asyncio
import contextlib
import hashlib
import os
import re
import select
import signal
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from devcluster import certificates
from everstep_api.wire.decode import decode, encode
from everstep_api.wire.sync import Action, Answer, Directive, Member, Report, Run, Wait

ACTORS = Path(__file__).with_name("actors.py")
_PR_SET_CHILD_SUBREAPER = 36
"""Linux: orphans below a process become its children, as they become those of process 1 (prctl(2))."""
PATIENCE_S = 20.0
"""Far longer than anything here takes, on any machine."""

Manifest = dict[str, Any]


class Operator:
    """The operator's side of the two calls, over TLS."""

    def __init__(self, folder: Path, spec: Manifest) -> None:
        self.folder = folder
        self.spec = spec
        self.token = "first"  # noqa: S105 - nobody's
        self.status = 200
        """What it answers; another one than 200 is answered to everything."""
        self.heard: dict[str, list[Report]] = {}
        self.tokens: list[str] = []
        self.port = 0
        self._said: dict[str, Action] = {}
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def open(self, authority: str = "ca") -> None:
        """Listen, on the same port as before, with a certificate of this authority."""
        self.status = 200
        issuer = certificates.make_authority(self.folder, authority)
        leaf = certificates.make_leaf(
            self.folder, f"leaf-{authority}", issuer, user="sync", usage="server", hosts=["127.0.0.1"]
        )
        (self.folder / "ca.crt.new").write_bytes(issuer.certificate.read_bytes())
        (self.folder / "ca.crt.new").replace(self.folder / "trusted.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.certificate, leaf.key)
        app = web.Application()
        path = "/v1/namespaces/team/trainingjobs/job-uid/agents/{pod}"
        app.add_routes([web.put(path, self._take_report), web.get(f"{path}/directive", self._give_directive)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Be away; whoever is held is answered first."""
        await self.change(lambda: setattr(self, "status", 503))
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def say(self, action: Action, *pods: str) -> None:
        """Say this to these pods from now on."""
        async with self._news:
            self._said.update(dict.fromkeys(pods, action))
            self._news.notify_all()

    async def change(self, change: Callable[[], None]) -> None:
        """Become another one, and wake those that wait."""
        async with self._news:
            change()
            self._news.notify_all()

    async def hear(self, pod: str, wanted: Callable[[Report], bool]) -> Report:
        """Return the first report of a pod, from now on, that is as wanted; the newest one counts."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: bool(self.heard.get(pod)) and wanted(self.heard[pod][-1]))
            return self.heard[pod][-1]

    async def hear_again(self, pod: str) -> Report:
        """Return the next report of a pod."""
        heard = len(self.heard[pod])
        return await self.hear(pod, lambda _: len(self.heard[pod]) > heard)

    def newest(self, pod: str) -> Report:
        return self.heard[pod][-1]

    async def _take_report(self, request: web.Request) -> web.Response:
        refusal = self._refuse(request)
        if refusal is not None:
            return refusal
        report = decode(await request.read(), Report)
        async with self._news:
            self.heard.setdefault(request.match_info["pod"], []).append(report)
            self._news.notify_all()
        return web.Response(body=encode(Answer(next_report_s=0.2)))

    async def _give_directive(self, request: web.Request) -> web.Response:
        pod, seen = request.match_info["pod"], request.query.get("seen")
        async with self._news:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._news.wait_for(lambda: self.status != 200 or self._directive(pod).digest != seen)
        return self._refuse(request) or web.Response(body=encode(self._directive(pod)))

    def _refuse(self, request: web.Request) -> web.Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.tokens.append(token)
        if self.status != 200:
            return web.Response(status=self.status, text="not now")
        return None if token == self.token else web.Response(status=401, text="unknown token")

    def _directive(self, pod: str) -> Directive:
        action = self._said.get(pod, Wait())
        digest = hashlib.sha256(encode(action)).hexdigest()[:8]
        return Directive(digest=digest, action=action, spec=self.spec)


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
