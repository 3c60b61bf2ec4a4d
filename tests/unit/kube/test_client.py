"""What a call does when the API server does not answer as it should."""

import asyncio
import time
from contextlib import aclosing

import pytest
from kubernetes.aio.client import Configuration

from everstep_operator.cluster import ClusterError, ConflictError, RefusedError, UnreachableError
from everstep_operator.kube.client import Client, collected
from everstep_operator.kube.errors import AlreadyThereError, ExpiredError, NotFoundError, error_of
from everstep_operator.kube.pace import Bucket
from tests.unit.kube.fake_api import Answer, FakeApi, breaks_off, hangs, says, streams
from tests.unit.kube.pods import FORGOTTEN, a_list, a_pod, an_event

BUSY = says({"message": "too many requests"}, 429, {"Retry-After": "0"})
STARTING = says({"message": "the server is starting"}, 503, {"Retry-After": "0"})
FINE = says({"kind": "Pod"})


def ask(*answers: Answer, timeout_s: float = 5.0) -> tuple[FakeApi, dict[str, object] | BaseException]:
    """What a call of a server with these answers gives or raises."""

    async def run() -> tuple[FakeApi, dict[str, object] | BaseException]:
        api = FakeApi(answers=list(answers))
        async with api.client(timeout_s=timeout_s) as client:
            (result,) = await asyncio.gather(client.get("/api/v1/pods"), return_exceptions=True)
        return api, result

    return asyncio.run(run())


@pytest.mark.parametrize("busy", [BUSY, STARTING], ids=["429", "503"])
def test_a_server_that_asks_to_come_again_later_is_asked_again(busy: Answer) -> None:
    api, result = ask(busy, busy, FINE)
    assert result == {"kind": "Pod"}
    assert len(api.requests) == 3


def test_a_server_that_is_busy_for_longer_than_a_call_may_take_is_unreachable() -> None:
    api, result = ask(BUSY, timeout_s=0.35)
    assert isinstance(result, UnreachableError)
    assert 2 <= len(api.requests) <= 4


def test_a_server_that_asks_for_nothing_is_not_asked_again() -> None:
    api, result = ask(says({"message": "etcd has no leader"}, 500))
    assert isinstance(result, UnreachableError)
    assert "etcd has no leader" in str(result)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(hangs, "had no answer in time", id="it hangs"),
        pytest.param(breaks_off, "failed: ClientPayloadError", id="it breaks off"),
        pytest.param(says("<html>"), "no JSON object: '<html>'", id="it is no API server"),
        pytest.param(says("[]"), "no JSON object: '\\[\\]'", id="it answers with a list"),
        pytest.param(says("bad gateway", 502), "answered with 502: bad gateway", id="a proxy answers"),
        pytest.param(says({"message": "no such token"}, 401), "answered with 401", id="the token is not taken"),
    ],
)
def test_what_is_no_answer_is_unreachable(answer: Answer, words: str) -> None:
    _, result = ask(answer, timeout_s=0.5)
    assert isinstance(result, UnreachableError)
    with pytest.raises(UnreachableError, match=words):
        raise result


def test_a_refused_connection_is_unreachable() -> None:
    async def run() -> None:
        async with Client(
            Configuration("http://127.0.0.1:1"), timeout_s=5, bucket=Bucket(per_s=10, burst=10)
        ) as client:
            with pytest.raises(UnreachableError, match="GET /api failed"):
                await client.get("/api")
            with pytest.raises(UnreachableError, match="WATCH /api was cut"):
                await anext(client.watch("/api", {}))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", RefusedError),
        (403, "Forbidden", RefusedError),
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyThereError),
        (409, "Conflict", ConflictError),
        (410, "Expired", ExpiredError),
        (422, "Invalid", RefusedError),
        (429, "TooManyRequests", UnreachableError),
        (500, "InternalError", UnreachableError),
    ],
)
def test_each_refusal_says_what_to_do_next(code: int, reason: str, kind: type[ClusterError]) -> None:
    error = error_of({"code": code, "reason": reason, "message": "its own words"}, call="GET /x")
    assert type(error) is kind
    assert "its own words" in str(error)


def test_a_list_is_read_page_by_page_and_a_page_without_items_may_say_null() -> None:
    async def run() -> tuple[list[str], FakeApi]:
        empty = {"metadata": {"resourceVersion": "10"}, "items": None}
        pages = a_list(a_pod("a"), rest="more"), a_list(a_pod("b"), rest="and more"), empty
        api = FakeApi(answers=[says(page) for page in pages])
        async with api.client() as client:
            found = await collected(client, "/api/v1/pods", {"labelSelector": "x"})
        return [pod["metadata"]["uid"] for pod in found], api

    uids, api = asyncio.run(run())
    assert uids == ["a", "b"]
    assert [request.get("continue") for request in api.requests] == [None, "more", "and more"]
    assert {request["labelSelector"] for request in api.requests} == {"x"}


def test_a_watch_that_is_cut_within_a_line_has_told_all_lines_before() -> None:
    async def run() -> None:
        api = FakeApi(answers=[streams(an_event("ADDED", a_pod()), is_cut=True)])
        async with api.client() as client, aclosing(client.watch("/api/v1/pods", {})) as events:
            assert (await anext(events))["type"] == "ADDED"
            with pytest.raises(UnreachableError, match="was cut"):
                await anext(events)

    asyncio.run(run())


@pytest.mark.parametrize(
    "answer", [streams(FORGOTTEN), says({"message": "too old"}, 410)], ids=["within the watch", "at its beginning"]
)
def test_a_version_that_is_forgotten_is_told_as_such(answer: Answer) -> None:
    async def run() -> None:
        async with (
            FakeApi(answers=[answer]).client() as client,
            aclosing(client.watch("/api/v1/pods", {})) as events,
        ):
            with pytest.raises(ExpiredError, match="too old"):
                await anext(events)

    asyncio.run(run())


def test_a_bucket_lets_a_burst_through_and_then_so_many_a_second() -> None:
    async def run() -> list[float]:
        bucket = Bucket(per_s=50, burst=5)
        began = time.monotonic()

        async def take() -> float:
            await bucket.take()
            return time.monotonic() - began

        return await asyncio.gather(*(take() for _ in range(15)))

    taken = asyncio.run(run())
    assert taken[4] < 0.1
    assert taken == sorted(taken)
    assert taken[-1] >= 10 / 50
