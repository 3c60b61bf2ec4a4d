"""The trigger: kopf tells which TrainingJobs changed, and each is put into the queue by its key.

Nothing is decided here, and of what kopf can do nothing else is used: a key is all that the reconcile needs, since it
reads the job itself. What a dropped watch may have lost is found by a list of keys every ten minutes.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

import kopf

from everstep_api.job import GROUP, PLURAL, VERSION
from everstep_operator.cluster import ClusterError
from everstep_operator.decide.facts import JobKey
from everstep_operator.kube.credentials import Credentials

log = logging.getLogger(__name__)

_LIST_S = 600.0
_FAREWELL_S = 1.0
"""How long kopf may take to end: the next leader waits for us, and kopf has nothing of its own to bring into order."""

Wake = Callable[[JobKey], None]


class Mark(NamedTuple):
    """What of a job changes when somebody else than we changes it: our own status writes leave it as it is."""

    uid: str
    generation: int
    is_deleted: bool


class Changes:
    """Wakes jobs that changed, each once for each change, however often it is told."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._marks: dict[JobKey, Mark] = {}

    def hear(self, key: JobKey, mark: Mark | None) -> None:
        """Hear of a job as it is now; None: it is gone."""
        if mark is None:
            self._marks.pop(key, None)
        elif self._marks.get(key) == mark:
            return
        else:
            self._marks[key] = mark
        self._wake(key)

    def check(self, keys: Collection[JobKey]) -> None:
        """Wake all jobs that there are, and those that we heard of and are gone."""
        gone = self._marks.keys() - set(keys)
        for key in gone:
            del self._marks[key]
        for key in [*gone, *keys]:
            self._wake(key)


class WatchEndedError(Exception):
    """kopf ended, which it should not: without it nobody tells what changes."""


class JobWatch:
    """kopf, in a thread and an event loop of its own: whatever it does to its loop does nothing to ours."""

    def __init__(
        self,
        changes: Changes,
        *,
        login: Callable[[], Awaitable[Credentials]],
        namespaces: Sequence[str] = (),
    ) -> None:
        """Tell `changes`, which are of the event loop that this is made in.

        Args:
            changes: Hears of each event.
            login: Our credentials; asked again whenever the API server does not take them any more.
            namespaces: Those to look at; none: all.
        """
        self._changes = changes
        self._login = login
        self._namespaces = namespaces
        self._ours = asyncio.get_running_loop()
        self._ended: asyncio.Future[BaseException | None] = self._ours.create_future()
        self._is_closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    async def run(self) -> None:
        """Watch until `close`.

        Raises:
            WatchEndedError: kopf ended by itself.
        """
        threading.Thread(target=self._live, name="kopf", daemon=True).start()
        error = await asyncio.shield(self._ended)
        if not self._is_closing:
            raise WatchEndedError(f"kopf ended by itself: {error!r}") from error

    async def close(self) -> None:
        """Have kopf end, and wait a second for it."""
        self._is_closing = True
        if self._loop is None or self._stop is None:
            return
        with suppress(RuntimeError):  # its loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.wait([self._ended], timeout=_FAREWELL_S)

    def _live(self) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(self._operate())
        except BaseException as caught:  # noqa: BLE001 - the top frame of its thread: whatever ends it is told
            error = caught
        self._tell(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)

    def _tell(self, call: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # our loop is closed, and nobody listens any more
            self._ours.call_soon_threadsafe(call, *values)

    async def _operate(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), (stop := asyncio.Event())
        registry = kopf.OperatorRegistry()

        async def told(type: str | None, meta: kopf.Meta, **_: Any) -> None:  # noqa: A002 - kopf's name
            key = JobKey(meta["namespace"], meta["name"])
            mark = Mark(meta["uid"], meta["generation"], "deletionTimestamp" in meta)
            self._tell(self._changes.hear, key, None if type == "DELETED" else mark)

        async def login(**_: Any) -> kopf.ConnectionInfo:
            try:
                return _connection(await self._login())
            except Exception:
                stop.set()  # without credentials kopf would wait for ever, healthy and idle
                raise

        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(told)
        kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(login)
        await kopf.operator(
            registry=registry,
            settings=_settings(),
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            standalone=True,
            stop_flag=stop,
        )


async def check_now_and_then(keys: Callable[[], Awaitable[Collection[JobKey]]], changes: Changes) -> NoReturn:
    """Wake every job at once and every ten minutes, until cancelled."""
    while True:
        try:
            changes.check(await keys())
        except ClusterError as error:
            log.warning("jobs cannot be listed; what the watch tells goes on: %s", error)
        await asyncio.sleep(_LIST_S)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # events are told by the reconcile, once their status is written
    settings.scanning.disabled = True  # nothing but TrainingJobs is watched, so Roles suffice in a namespace
    settings.networking.connect_timeout = 3.0
    settings.networking.request_timeout = 30.0
    settings.networking.error_backoffs = (
        0.2,
        0.5,
        1,
        2,
        5,
        5,
        5,
        5,
        5,
        5,
    )  # an API server that starts anew takes a while
    settings.queueing.exit_timeout = 0.2  # handlers only put keys
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = (
        None  # it would kill the whole process; whoever waits for us decides that
    )
    return settings


def _connection(credentials: Credentials) -> kopf.ConnectionInfo:
    scheme, _, token = (credentials.authorization or "").partition(" ")
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_path=credentials.authority_file,
        certificate_path=credentials.certificate_file,
        private_key_path=credentials.key_file,
        scheme=scheme or None,
        token=token or None,
    )
