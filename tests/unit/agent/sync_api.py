"""The operator's side of the two calls, over TLS: it says what a test tells it to, and keeps what it hears."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from devcluster import certificates
from everstep_api.wire.decode import decode, encode
from everstep_api.wire.sync import Action, Answer, Directive, Report, Wait

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
