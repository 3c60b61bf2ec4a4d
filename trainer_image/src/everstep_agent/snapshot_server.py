"""What the one port answers about snapshots; `snapshots` says what and to whom."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from everstep_agent.snapshots import HEAD_BYTES, Admission, DamagedCopyError, Shelf, WrongSecretError
from everstep_api.wire.decode import encode
from everstep_api.wire.snapshots import Inventory

_Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MOST_HEAD_BYTES = 64 * 1024 * 1024


class SnapshotServer:
    """Serves a shelf to who has the newest world's secret."""

    def __init__(self, *, shelf: Shelf, admission: Admission, address: Callable[[], str]) -> None:
        self._shelf = shelf
        self._admission = admission
        self._address = address

    def routes(self) -> list[web.RouteDef]:
        """All that it answers."""
        name = r"/snapshots/{name:[^./]+\.\d+\.[AB]}"
        return [
            web.get("/snapshots", self._admitted(self._answer_inventory)),
            web.get(name + r"{ending:\.(?:head|safetensors)}", self._admitted(self._answer_file)),
            web.put(name, self._admitted(self._take)),
        ]

    def _admitted(self, answer: _Answer) -> _Answer:
        async def checked(request: web.Request) -> web.StreamResponse:
            try:
                await self._admission.check(request.headers.get("Authorization", "").removeprefix("Bearer "))
            except WrongSecretError:
                return web.Response(text="This is not the secret of the newest world here.\n", status=403)
            return await answer(request)

        return checked

    async def _answer_inventory(self, _: web.Request) -> web.StreamResponse:
        inventory = Inventory(address=self._address(), parts=self._shelf.parts())
        return web.Response(body=encode(inventory), content_type="application/json")

    async def _answer_file(self, request: web.Request) -> web.StreamResponse:
        path = self._shelf.path(request.match_info["name"], request.match_info["ending"])
        if not path.is_file():
            return web.Response(text="This is not held here.\n", status=404)
        return web.FileResponse(path)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        length = request.headers.get(HEAD_BYTES, "")
        if not length.isdecimal() or int(length) > _MOST_HEAD_BYTES:
            return web.Response(text=f"{HEAD_BYTES} is {length!r}; send the number of bytes of the head.\n", status=400)
        try:
            head = await request.content.readexactly(int(length))
            await self._shelf.receive(request.match_info["name"], head, request.content.iter_any())
        except DamagedCopyError as error:
            return web.Response(text=f"{error}.\n", status=409)
        except OSError as error:
            return web.Response(text=f"There is no room for this copy: {error}.\n", status=507)
        return web.Response(text="held\n")
