"""The one port of a worker: what Prometheus, the kubelet and the other members ask for. Plain HTTP."""

from collections.abc import Callable

from aiohttp import web

from everstep_agent.metrics import CONTENT_TYPE
from everstep_agent.snapshot_server import SnapshotServer
from everstep_agent.world import WorldOverError, Worlds, WrongSecretError
from everstep_api.wire.decode import encode


class Server:
    """Answers until it is closed."""

    def __init__(
        self,
        *,
        metrics: Callable[[], bytes],
        unreadiness: Callable[[], str | None],
        worlds: Worlds,
        snapshots: SnapshotServer,
    ) -> None:
        """Take what it answers with; `unreadiness` returns why the worker is not ready, or nothing when it is."""
        self._metrics = metrics
        self._unreadiness = unreadiness
        self._worlds = worlds
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._answer_metrics),
                web.get("/healthz", self._answer_health),
                web.get("/readyz", self._answer_readiness),
                web.get(r"/worlds/{world:\d{1,18}}", self._answer_world),
                *snapshots.routes(),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port, which is another one if 0 was asked for."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _answer_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def _answer_health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # the event loop turns, which is all that there is to know

    async def _answer_readiness(self, _: web.Request) -> web.Response:
        reason = self._unreadiness()
        return web.Response(text="ok\n") if reason is None else web.Response(text=f"{reason}\n", status=503)

    async def _answer_world(self, request: web.Request) -> web.Response:
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            store = await self._worlds.find(int(request.match_info["world"]), secret)
        except WrongSecretError:
            return web.Response(text="This is not the secret of that world.\n", status=403)
        except WorldOverError:
            return web.Response(text="A later world is known here.\n", status=404)
        except TimeoutError:
            return web.Response(text="The store of that world is not open yet; ask again.\n", status=503)
        return web.Response(body=encode(store), content_type="application/json")
