"""Whatever a call is answered with, it is made again, and only 410 and 404 are answers that end it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from devcluster import certificates
from everstep_agent import settings
from everstep_agent.sync import Sync
from everstep_agent.world import HOLD_S, WorldOverError, Worlds, WrongSecretError, fetch_store
from everstep_api.wire.decode import encode
from everstep_api.wire.ranks import JoinStore
from everstep_api.wire.sync import PROTOCOL, AgentState, Answer, Directive, Finish, Member, Report, Run, Stop, Wait
from tests.unit.agent.test_settings import ENVIRONMENT

REPORT = Report(protocol=PROTOCOL, boot_id="b", worker=0, address="h:1", node="n", state=AgentState.STARTING, ranks=1)
STORE = JoinStore(host="10.0.0.1", port=29_500)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def cut(request: web.Request) -> web.StreamResponse:
    """Promise more than is sent."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"next_rep')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(HOLD_S)
    return web.Response()


def answer(status: int, body: bytes = b"") -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    return handle


FAULTS = [
    pytest.param(answer(401), id="unknown token"),
    pytest.param(answer(409), id="conflict"),
    pytest.param(answer(429), id="too many requests"),
    pytest.param(answer(500), id="broken"),
    pytest.param(answer(503), id="not yet"),
    pytest.param(answer(200, b"<html>"), id="no JSON"),
    pytest.param(answer(200, b'{"later": 1}'), id="another message"),
    pytest.param(cut, id="cut in mid-body"),
]


@contextlib.asynccontextmanager
async def a_server(*handlers: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Answer with each handler once, with the last one from then on; yield `host:port`."""
    left = list(handlers)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    authority = certificates.make_authority(tmp_path, "ca")
    leaf = certificates.make_leaf(tmp_path, "leaf", authority, user="sync", usage="server", hosts=["127.0.0.1"])
    (tmp_path / "token").write_text("t")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(leaf.certificate, leaf.key)
    return made


@contextlib.asynccontextmanager
async def a_sync(folder: Path, address: str, hear: Callable[[Directive], None]) -> AsyncIterator[Sync]:
    told = settings.read(
        ENVIRONMENT
        | {
            "EVERSTEP_SYNC_URL": f"https://{address}",
            "EVERSTEP_TOKEN_FILE": str(folder / "token"),
            "EVERSTEP_CA_FILE": str(folder / "ca.crt"),
        }
    )
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        yield Sync(told, session, report=lambda: REPORT, hear=hear)


@contextlib.asynccontextmanager
async def in_background(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("fault", [*FAULTS, pytest.param(hang, id="no answer")])
def test_a_report_that_fails_is_made_again(tmp_path: Path, context: ssl.SSLContext, fault: Handler) -> None:
    async def scenario() -> None:
        taken = asyncio.Event()

        async def take(_: web.Request) -> web.StreamResponse:
            taken.set()
            return web.Response(body=encode(Answer(next_report_s=1)))

        async with (
            a_server(fault, take, context=context) as address,
            a_sync(tmp_path, address, lambda _: None) as sync,
            in_background(sync.report_for_ever()),
        ):
            await taken.wait()

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [*FAULTS, pytest.param(answer(204), id="nothing new")])
def test_a_directive_that_fails_is_asked_for_again(tmp_path: Path, context: ssl.SSLContext, fault: Handler) -> None:
    async def scenario() -> None:
        heard: asyncio.Queue[Directive] = asyncio.Queue()
        finish = Directive(digest="2", action=Finish())
        async with (
            a_server(fault, answer(200, encode(finish)), context=context) as address,
            a_sync(tmp_path, address, heard.put_nowait) as sync,
            in_background(sync.listen_for_ever()),
        ):
            assert await heard.get() == finish

    asyncio.run(scenario())


def test_a_directive_is_heard_once_and_given_back_as_seen(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def scenario() -> None:
        heard: list[Directive] = []
        seen: list[str] = []
        enough = asyncio.Event()

        async def give(request: web.Request) -> web.StreamResponse:
            seen.append(request.query.get("seen", ""))
            if len(seen) == 3:
                enough.set()
            return web.Response(body=encode(Directive(digest="7 +", action=Wait())))

        async with (
            a_server(give, context=context) as address,
            a_sync(tmp_path, address, heard.append) as sync,
            in_background(sync.listen_for_ever()),
        ):
            await enough.wait()
        assert seen[:3] == ["", "7 +", "7 +"]
        assert len(heard) == 1

    asyncio.run(scenario())


def test_410_is_heard_as_stop(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def scenario() -> None:
        heard: asyncio.Queue[Directive] = asyncio.Queue()
        async with (
            a_server(answer(410), context=context) as address,
            a_sync(tmp_path, address, heard.put_nowait) as sync,
            in_background(sync.report_for_ever()),
        ):
            assert (await heard.get()).action == Stop()

    asyncio.run(scenario())


def test_an_operator_of_another_authority_hears_no_token(tmp_path: Path, context: ssl.SSLContext) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def take(_: web.Request) -> web.StreamResponse:
            asked.set()
            return web.Response(body=encode(Answer(next_report_s=1)))

        right = (tmp_path / "ca.crt").read_bytes()
        (tmp_path / "others").mkdir()
        wrong = certificates.make_authority(tmp_path / "others", "ca").certificate.read_bytes()
        (tmp_path / "ca.crt").write_bytes(wrong)
        async with (
            a_server(take, context=context) as address,
            a_sync(tmp_path, address, lambda _: None) as sync,
            in_background(sync.report_for_ever()),
        ):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asked.wait(), 0.5)
            (tmp_path / "ca.crt").write_bytes(right)
            await asked.wait()

    asyncio.run(scenario())


def a_run(address: str) -> Run:
    first = Member(worker=0, pod_uid="p", address=address, node="n")
    return Run(world=4, members=(first,), ranks_per_worker=1, secret="right")  # noqa: S106 - nobody's


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_is_asked_for_until_it_is_told(fault: Handler) -> None:
    async def scenario() -> None:
        async with (
            asyncio.timeout(20),
            a_server(fault, answer(200, encode(STORE))) as address,
            aiohttp.ClientSession() as session,
        ):
            assert await fetch_store(session, a_run(address)) == STORE

    asyncio.run(scenario())


def test_a_store_is_not_asked_for_any_more_when_the_first_member_is_in_a_later_world() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), a_server(answer(404)) as address, aiohttp.ClientSession() as session:
            assert await fetch_store(session, a_run(address)) is None

    asyncio.run(scenario())


def test_a_world_is_told_when_its_store_is_open_and_refused_when_it_is_over() -> None:
    async def scenario() -> None:
        worlds = Worlds(newest=3)
        with pytest.raises(WorldOverError):
            await worlds.find(3, "right")
        early = asyncio.create_task(worlds.find(4, "right"))
        stranger = asyncio.create_task(worlds.find(4, "wrong"))
        await asyncio.sleep(0)
        worlds.enter(a_run("h:1"))
        with pytest.raises(WrongSecretError):
            await stranger
        worlds.publish(3, JoinStore(host="old", port=1))
        await asyncio.sleep(0)
        assert not early.done()
        worlds.publish(4, STORE)
        assert await early == STORE

    asyncio.run(scenario())
