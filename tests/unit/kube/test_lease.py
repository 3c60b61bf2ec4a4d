"""What a leader does when its Lease cannot be renewed."""

import asyncio

import pytest
from aiohttp import web

from everstep_operator.kube.lease import LeadershipLostError, Lease, Timings
from tests.builders import Manifest
from tests.unit.kube.fake_api import FakeApi, hangs, says

QUICK = Timings(duration_s=1.0, deadline_s=0.6, retry_s=0.1)


class Store:
    """A Lease that is kept, with versions as an API server counts them."""

    def __init__(self) -> None:
        self.lease: Manifest | None = None
        self._version = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(self.lease) if self.lease else web.json_response({"message": "none"}, status=404)
        written: Manifest = await request.json()
        held = self.lease["metadata"]["resourceVersion"] if self.lease else None
        if written["metadata"].get("resourceVersion") != held:
            return web.json_response({"message": "it was written"}, status=409)
        self.put(written["spec"])
        return web.json_response(self.lease)

    def put(self, spec: Manifest) -> None:
        self._version += 1
        self.lease = {"metadata": {"resourceVersion": str(self._version)}, "spec": spec}

    @property
    def holder(self) -> str | None:
        return self.lease["spec"].get("holderIdentity") if self.lease else None


def test_a_lease_that_stands_still_is_taken_and_one_that_is_renewed_is_not() -> None:
    async def run() -> None:
        store = Store()
        async with FakeApi(answers=[store.answer]).client() as client:
            first = Lease(client, namespace="a", name="b", identity="first", timings=QUICK)
            second = Lease(client, namespace="a", name="b", identity="second", timings=QUICK)
            await first.acquire()
            keeping = asyncio.create_task(first.keep())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2 * QUICK.duration_s):
                    await second.acquire()
            keeping.cancel()
            await asyncio.wait([keeping])
            began = asyncio.get_running_loop().time()
            await second.acquire()
            assert asyncio.get_running_loop().time() - began >= QUICK.duration_s / 2
            assert store.holder == "second"
            assert store.lease is not None
            assert store.lease["spec"]["leaseTransitions"] == 2
            await first.release()
            assert store.holder == "second"

    asyncio.run(run())


@pytest.mark.parametrize("away", [hangs, says({"message": "etcd is away"}, 500)], ids=["it hangs", "it fails"])
def test_a_leader_that_cannot_renew_stops_before_another_one_may_begin(away: object) -> None:
    async def run() -> None:
        api = FakeApi(answers=[Store().answer])
        async with api.client(timeout_s=0.2) as client:
            lease = Lease(client, namespace="a", name="b", identity="first", timings=QUICK)
            await lease.acquire()
            began = asyncio.get_running_loop().time()
            api.answers[:] = [away]  # type: ignore[list-item]  # both are answers
            with pytest.raises(LeadershipLostError, match="could not be renewed"):
                await lease.keep()
            assert asyncio.get_running_loop().time() - began < QUICK.duration_s

    asyncio.run(run())


def test_a_leader_that_cannot_renew_for_a_moment_goes_on() -> None:
    async def run() -> None:
        api, store = FakeApi(answers=[]), Store()
        api.answers[:] = [store.answer]
        async with api.client(timeout_s=0.2) as client:
            lease = Lease(client, namespace="a", name="b", identity="first", timings=QUICK)
            await lease.acquire()
            api.answers[:] = [says({"message": "etcd is away"}, 500), says({"message": "still"}, 500), store.answer]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3 * QUICK.duration_s):
                    await lease.keep()
            assert store.holder == "first"

    asyncio.run(run())


def test_a_leader_that_finds_another_holder_stops() -> None:
    async def run() -> None:
        store = Store()
        async with FakeApi(answers=[store.answer]).client() as client:
            lease = Lease(client, namespace="a", name="b", identity="first", timings=QUICK)
            await lease.acquire()
            store.put({"holderIdentity": "second"})
            with pytest.raises(LeadershipLostError, match="second has taken the Lease"):
                await lease.keep()
            await lease.release()
            assert store.holder == "second"

    asyncio.run(run())


def test_a_lease_that_was_let_go_is_taken_at_once() -> None:
    async def run() -> None:
        store = Store()
        async with FakeApi(answers=[store.answer]).client() as client:
            first = Lease(client, namespace="a", name="b", identity="first", timings=QUICK)
            await first.acquire()
            await first.release()
            assert store.holder is None
            async with asyncio.timeout(QUICK.duration_s / 2):
                await Lease(client, namespace="a", name="b", identity="second", timings=QUICK).acquire()
            assert store.holder == "second"

    asyncio.run(run())
