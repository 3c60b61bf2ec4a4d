"""The sync API's two calls over TLS: an agent puts its report, and gets its directive.

What an answer means to an agent: 401 and 403, its token is not the right one; 400, it speaks another language; 410, its
pod is not wanted; 503, ask again later.
"""

import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from everstep_api.wire.decode import encode
from everstep_api.wire.sync import DIRECTIVE_HOLD_S, LONGEST_REPORT_BYTES, PROTOCOL, Answer, Report
from everstep_operator.sync.directives import Directives, NotKnownError, NotWantedError
from everstep_operator.sync.reports import Reports
from everstep_operator.sync.tokens import TokenError, TokenVerifier

log = logging.getLogger(__name__)

_REPORT: Final = TypeAdapter(Report)
_AGENT = "/v1/namespaces/{namespace}/trainingjobs/{uid}/agents/{pod}"
_GOODBYE_S = 0.5
"""How long an answer may still take when the server ends. Agents ask again, so nothing is lost by cutting them off."""

Waken = Callable[[str], None]
"""Has the job of this uid looked at."""
IsKnown = Callable[[str, str], bool]
"""Whether the job of the first uid has the pod of the second."""


class SyncServer:
    """Serves agents from the moment that it is started until it is closed."""

    def __init__(
        self, *, reports: Reports, directives: Directives, verifier: TokenVerifier, is_known: IsKnown, waken: Waken
    ) -> None:
        self._reports = reports
        self._directives = directives
        self._verifier = verifier
        self._is_known = is_known
        self._waken = waken
        self._runner: web.AppRunner | None = None

    async def start(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Serve those who connect to this socket, which is closed with the server."""
        application = web.Application(client_max_size=LONGEST_REPORT_BYTES)
        application.router.add_put(_AGENT, self._put_report)
        application.router.add_get(f"{_AGENT}/directive", self._get_directive)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GOODBYE_S)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=context).start()

    async def close(self) -> None:
        """End; agents that wait for a directive are cut off and ask again."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _put_report(self, request: web.Request) -> web.Response:
        job_uid, pod_uid = self._identify(request)
        try:
            report = _REPORT.validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPBadRequest(text=f"The report is none: {error}") from error
        if report.protocol != PROTOCOL:
            raise web.HTTPBadRequest(
                text=f"The report speaks protocol {report.protocol}, and this operator {PROTOCOL};"
                " use images of the trainer and the operator of one release."
            )
        if self._reports.hear(job_uid, pod_uid, report):
            self._waken(job_uid)
        return _json(Answer(next_report_s=self._reports.next_report_s))

    async def _get_directive(self, request: web.Request) -> web.Response:
        job_uid, pod_uid = self._identify(request)
        seen = request.query.get("seen", "")
        try:
            directive = await self._directives.wait(job_uid, pod_uid, seen=seen, hold_s=DIRECTIVE_HOLD_S)
        except NotWantedError as error:
            raise web.HTTPGone(text="The job of this pod is gone.") from error
        except NotKnownError as error:
            raise web.HTTPServiceUnavailable(text="Nothing is decided about this pod yet; ask again.") from error
        return _json(directive)

    def _identify(self, request: web.Request) -> tuple[str, str]:
        """The job and the pod that the request is about, once its bearer has shown that it may speak for them."""
        namespace, job_uid, pod_uid = (request.match_info[name] for name in ("namespace", "uid", "pod"))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            raise web.HTTPUnauthorized(text="There is no bearer token; send the projected token of the pod.")
        try:
            speaker = self._verifier.verify(token, namespace=namespace, job_uid=job_uid)
        except TokenError as error:
            raise web.HTTPUnauthorized(text=str(error)) from error
        if (speaker.namespace, speaker.pod_uid) != (namespace, pod_uid):
            raise web.HTTPForbidden(text=f"The token is of pod {speaker.pod_uid}, which speaks for itself alone.")
        if not self._is_known(job_uid, pod_uid):
            raise web.HTTPGone(text=f"The job has no pod {pod_uid} any more.")
        return job_uid, pod_uid


def _json(message: object) -> web.Response:
    return web.Response(body=encode(message), content_type="application/json")
