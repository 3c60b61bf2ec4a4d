"""What the kubelet and Prometheus ask this process, by plain HTTP: `/healthz`, `/readyz` and `/metrics`.

A process that does not lead is ready, too: ready means that it could lead. What is wrong with the one that leads ends
it, so an answer is all that health needs to be.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from everstep_operator.metrics import CONTENT_TYPE, Metrics


@asynccontextmanager
async def probes(port: int, metrics: Metrics) -> AsyncIterator[int]:
    """Answer within the context; give the port, which is another one if 0 was asked for."""

    async def fine(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def measured(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    application.add_routes([web.get("/healthz", fine), web.get("/readyz", fine), web.get("/metrics", measured)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        # Of port 0 each family has another one, in any order. An address of IPv4 has two parts, one of IPv6 four.
        yield int(min(runner.addresses, key=len)[1])
    finally:
        await runner.cleanup()
