"""An API server that answers as a test says, over plain HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from kubernetes.aio.client import Configuration

from everstep_operator.kube.client import Answered, Client
from everstep_operator.kube.pace import Bucket
from tests.builders import Manifest

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True)
class FakeApi:
    """Answers each request by the next of `answers`, and the last of them again and again."""

    answers: list[Answer]
    requests: list[Mapping[str, str]] = field(default_factory=list)
    """The query of each request."""
    port: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(dict(request.query))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    @asynccontextmanager
    async def client(
        self, *, timeout_s: float = 5.0, answered: Answered = lambda _method, _status, _seconds: None
    ) -> AsyncIterator[Client]:
        """Serve, and give a client of it."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            bucket = Bucket(per_s=1000, burst=1000)
            server = Configuration(f"http://127.0.0.1:{self.port}")
            async with Client(server, timeout_s=timeout_s, bucket=bucket, answered=answered) as made:
                yield made
        finally:
            await runner.cleanup()


def says(body: Manifest | str, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Answers with this."""

    async def answer(_: web.Request) -> web.StreamResponse:
        if isinstance(body, str):
            return web.Response(text=body, status=status, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return answer


def streams(*events: Manifest, then_holds: bool = False, is_cut: bool = False) -> Answer:
    """Answers with events, one a line; then it ends, holds the line, or breaks off within the next one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for event in events:
            await response.write(web.json_response(event).body + b"\n")  # type: ignore[operator]  # it has one
        if is_cut:
            await response.write(b'{"type": "MODI')
            assert request.transport is not None
            request.transport.abort()
        elif then_holds:
            await asyncio.Event().wait()
        return response

    return answer


async def hangs(_: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """Breaks the connection within the body."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"kind": ')
    assert request.transport is not None
    request.transport.abort()
    return response
