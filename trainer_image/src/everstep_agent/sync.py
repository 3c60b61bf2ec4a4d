"""The two calls to the operator: the report, put again and again, and the directive, asked for and held.

No answer means: go on. Whatever goes wrong here is tried again for ever, and nothing else in the worker notices; only
410 is an answer that ends it. Tokens are exchanged and authorities change while a pod lives, so both files are read
anew for each call, and a connection is used again only while the authority is the same.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import aiohttp

from everstep_agent.backoff import Backoff
from everstep_agent.settings import Settings
from everstep_api.wire.decode import MalformedMessageError, decode, encode
from everstep_api.wire.sync import DIRECTIVE_HOLD_S, Answer, Directive, Report, Stop

_M = TypeVar("_M", Answer, Directive)

_log = logging.getLogger(__name__)

_REPORT_TIMEOUT_S = 2.0
_DIRECTIVE_TIMEOUT_S = DIRECTIVE_HOLD_S + 5.0
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
"""Of an operator that was away for an hour all agents of a job have heard 5 s after it is back."""


class NoAnswerError(Exception):
    """The operator gave no answer that could be used; the text says what it gave."""


class GoneError(NoAnswerError):
    """The operator says that this pod is not wanted."""


class Credentials:
    """Token and authority as they are on the disk at this moment."""

    def __init__(self, *, token: Path, authority: Path) -> None:
        self._token = token
        self._authority = authority
        self._seen = b""
        self._context: ssl.SSLContext | None = None

    def token(self) -> str:
        """Return the token."""
        return self._token.read_text().strip()

    def context(self) -> ssl.SSLContext:
        """Return what trusts the authority alone: the same as before if the file is, so that connections are kept."""
        content = self._authority.read_bytes()
        if self._context is None or content != self._seen:
            self._context = ssl.create_default_context(cadata=content.decode())
            self._seen = content
        return self._context


class Sync:
    """Reports and listens until its two tasks are cancelled."""

    def __init__(
        self,
        settings: Settings,
        session: aiohttp.ClientSession,
        *,
        report: Callable[[], Report],
        hear: Callable[[Directive], None],
    ) -> None:
        self._session = session
        self._report = report
        self._hear = hear
        self._credentials = Credentials(token=settings.token_file, authority=settings.ca_file)
        namespace, uid, pod = (
            quote(name, safe="") for name in (settings.namespace, settings.job_uid, settings.pod_uid)
        )
        self._url = f"{settings.sync_url.rstrip('/')}/v1/namespaces/{namespace}/trainingjobs/{uid}/agents/{pod}"
        self._sent: Report | None = None
        self._is_urgent = asyncio.Event()

    def look(self) -> None:
        """Report at once if more than progress has changed. That a world makes its first step is more."""
        if self._sent is None or _essence(self._report()) != _essence(self._sent):
            self._is_urgent.set()

    async def report_for_ever(self) -> None:
        """Put a report when the next is due, and at once when `look` finds one urgent."""
        backoff = Backoff(first_s=_SHORTEST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        trouble = _Trouble("report")
        while True:
            self._is_urgent.clear()
            try:
                pause_s = max(await self.report_once(), _SHORTEST_PAUSE_S)
            except NoAnswerError as error:
                trouble.begin(error)
                pause_s = backoff.take()
            else:
                trouble.end()
                backoff.reset()
            try:
                async with asyncio.timeout(pause_s):
                    await self._is_urgent.wait()
            except TimeoutError:
                continue

    async def report_once(self) -> float:
        """Put the report of this moment; return after how many seconds the next is due.

        Raises:
            NoAnswerError: it was not taken.
        """
        report = self._report()
        self._sent = report
        body = await self._call("PUT", self._url, _REPORT_TIMEOUT_S, encode(report))
        if body is None:
            raise NoAnswerError("a report was answered with nothing")
        return _read(body, Answer).next_report_s

    async def listen_for_ever(self) -> None:
        """Ask for the directive, and for each later one as soon as it is there."""
        backoff = Backoff(first_s=_SHORTEST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        trouble = _Trouble("directive")
        seen = ""
        while True:
            url = f"{self._url}/directive" + (f"?seen={quote(seen, safe='')}" if seen else "")
            try:
                body = await self._call("GET", url, _DIRECTIVE_TIMEOUT_S)
                directive = None if body is None else _read(body, Directive)
            except NoAnswerError as error:
                trouble.begin(error)
                await asyncio.sleep(backoff.take())
                continue
            trouble.end()
            backoff.reset()
            if directive is not None and directive.digest != seen:
                seen = directive.digest
                self._hear(directive)
            else:
                await asyncio.sleep(_SHORTEST_PAUSE_S)  # bounds what an operator that does not hold would cost

    async def _call(self, method: str, url: str, timeout_s: float, body: bytes | None = None) -> bytes | None:
        """Return the body of a 200, or nothing for an answer that has none."""
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=_REPORT_TIMEOUT_S)
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers={"Authorization": f"Bearer {self._credentials.token()}", "Content-Type": "application/json"},
                ssl=self._credentials.context(),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                content = await response.read()
                status = response.status
        except (aiohttp.ClientError, OSError, ssl.SSLError, TimeoutError) as error:
            raise NoAnswerError(f"{type(error).__name__}: {error}") from error
        if status == HTTPStatus.OK:
            return content
        if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return None
        if status == HTTPStatus.GONE:
            self._hear(Directive(digest="gone", action=Stop()))
            raise GoneError("status 410: the pod is not wanted")
        raise NoAnswerError(f"status {status}: {content[:200].decode(errors='replace').strip()}")


class _Trouble:
    """Says once that the operator gives no answer, and once that it does again."""

    def __init__(self, call: str) -> None:
        self._call = call
        self._is_there = False

    def begin(self, error: NoAnswerError) -> None:
        if not self._is_there:
            _log.warning(
                "The operator gives no answer; going on, and asking again: call=%s error=%s", self._call, error
            )
        self._is_there = True

    def end(self) -> None:
        if self._is_there:
            _log.info("The operator answers again: call=%s", self._call)
        self._is_there = False


def _read(body: bytes, wanted: type[_M]) -> _M:
    try:
        message: _M = decode(body, wanted)
    except MalformedMessageError as error:
        raise NoAnswerError(f"what it says is no {wanted.__name__}: {error}") from error
    return message


def _essence(report: Report) -> tuple[Report, bool]:
    return replace(report, progress=None, snapshots=()), report.progress is not None
