"""Calls of the API server as raw JSON: each with a timeout, in our pace, and with errors that say what to do next.

The library brings credentials, TLS and the connections; its generated classes would cost more than all our decisions.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from everstep_api.resource import Manifest
from everstep_operator.cluster import UnreachableError
from everstep_operator.kube.errors import error_of
from everstep_operator.kube.pace import Bucket

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
KEYS_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
"""Objects without spec and status: a tenth of the bytes."""

_WATCH_S = 300
"""The server ends a watch after this time, so that clients spread anew over several servers."""
_WATCH_SILENCE_S = 75.0
"""A watch that says nothing for so long is begun anew: it may be dead. A server marks the time once a minute, unless
nothing was ever written since it started."""
_CONNECT_S = 3.0
_TRY_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_SHORTEST_PAUSE_S = 0.1

Answered = Callable[[str, int, float], None]
"""Hears of each answer: method, status and seconds. A call without an answer has the status 0. The method of a watch is
WATCH, and its answer that it begins."""


class Client:
    """One API server. Use it as a context: at its end the connections are closed."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        timeout_s: float,
        bucket: Bucket,
        answered: Answered = lambda _method, _status, _seconds: None,
    ) -> None:
        """Speak to the server of this configuration.

        Args:
            configuration: From `load_configuration`.
            timeout_s: Limit of one call, with its retries while the server asks to come again later.
            bucket: Our pace.
            answered: Hears of each answer.
        """
        self._api = ApiClient(configuration)
        self._timeout_s = timeout_s
        self._bucket = bucket
        self._answered = answered

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._api.close()  # type: ignore[no-untyped-call]  # has no types

    async def get(self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON) -> Manifest:
        """Read an object or a list."""
        return await self.send("GET", path, query=query, accept=accept)

    async def send(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Manifest:
        """Make one call and return the object of the answer.

        A server that asks to come again later is asked again, until the timeout.

        Raises:
            ClusterError: one of those that `errors` draws.
            ValueError: the body has a number that JSON has not; it would be lost with the whole write.
        """
        json.dumps(body, allow_nan=False)
        await self._bucket.take()
        headers = {"Content-Type": content_type, "Accept": accept}
        call = f"{method} {path}"
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    status, content, pause_s = await self._exchange(method, _target(path, query), body, headers)
                    if pause_s is None:
                        break
                    await asyncio.sleep(pause_s)
        except TimeoutError as error:
            raise UnreachableError(f"{call} had no answer in time.") from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise error_of(_refusal(status, content), call=call)
        return _read(content, call)

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[Manifest, None]:
        """Yield the events of a watch until the server ends it or falls silent.

        Raises:
            ClusterError: it could not begin, or was cut; `ExpiredError`: it cannot go on from where it should.
        """
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_S)}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_WATCH_SILENCE_S)
        call = f"WATCH {path}"
        try:
            response = await self._begin_watch(_target(path, asked), limits)
            async with response:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise error_of(_refusal(response.status, await response.read()), call=call)
                async for line in response.content:
                    event = _read(line, call)
                    if event.get("type") == "ERROR":
                        raise error_of(event["object"], call=call)
                    yield event
        except aiohttp.SocketTimeoutError:
            return
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(f"{call} was cut: {type(error).__name__}: {error}") from error

    async def listed(
        self, path: str, query: Mapping[str, str], *, accept: str = JSON
    ) -> AsyncGenerator[Manifest, None]:
        """Yield the pages of a list, each of at most 500 objects: a whole one of 50,000 pods would be 250 MB at once.

        Raises:
            ClusterError: as `send`; `ExpiredError`: the list took longer than the server remembers.
        """
        asked = {**query, "limit": "500"}
        while True:
            page = await self.get(path, asked, accept=accept)
            yield {**page, "items": page.get("items") or []}  # a list of keys that has none says null
            if not (rest := page["metadata"].get("continue")):
                return
            asked["continue"] = rest

    async def _exchange(
        self, method: str, target: str, body: Manifest | None, headers: dict[str, str]
    ) -> tuple[int, bytes, float | None]:
        """Send once; return status, content, and the seconds after which to send again if the server asks for that."""
        began, status = time.monotonic(), 0
        try:
            limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
            async with await self._request(method, target, body, headers, limits) as response:
                status, content = response.status, await response.read()
                return status, content, _pause(response) if status in _TRY_LATER else None
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"{method} {target} failed: {type(error).__name__}: {error}") from error
        finally:
            self._answered(method, status, time.monotonic() - began)

    async def _begin_watch(self, target: str, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        began, status = time.monotonic(), 0
        try:
            response = await self._request("GET", target, None, {"Accept": JSON}, limits)
            status = response.status
        finally:
            self._answered("WATCH", status, time.monotonic() - began)
        return response

    async def _request(
        self, method: str, target: str, body: Manifest | None, headers: dict[str, str], limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        told = dict(headers)
        await self._api.update_params_for_auth(told, None, ["BearerToken"], target, method, None)
        url = f"{self._api.configuration.host}{target}"
        answer = await self._api.call_api(method, url, told, body, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        return response


async def collected(client: Client, path: str, query: Mapping[str, str], *, accept: str = JSON) -> list[Manifest]:
    """All objects of a list."""
    async with aclosing(client.listed(path, query, accept=accept)) as pages:
        return [item async for page in pages for item in page["items"]]


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _read(content: bytes, call: str) -> Manifest:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        words = content[:200].decode(errors="replace").strip()
        raise UnreachableError(f"{call} was answered with what is no JSON object: {words!r}")
    return answer


def _refusal(status: int, content: bytes) -> Manifest:
    """The `Status` object of a refusal; what stands between us and the server may answer with plain words."""
    with suppress(ValueError):
        if isinstance(answer := json.loads(content), dict):
            return {**answer, "code": status}
    return {"code": status, "message": content[:200].decode(errors="replace").strip()}


def _pause(response: aiohttp.ClientResponse) -> float | None:
    """The seconds that the server asks to wait; None where it names none."""
    with suppress(KeyError, ValueError):
        return max(float(response.headers["Retry-After"]), _SHORTEST_PAUSE_S)
    return None
