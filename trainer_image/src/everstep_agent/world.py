"""Where the store of a world is: the first member's agent tells it, the agents of the others ask for it.

    GET /worlds/{n}, with the world's secret     200 JoinStore · 403 wrong secret · 404 older world · 503 not yet

A world's store opens on a fresh port of the first rank's worker, so nobody can know it beforehand, and nothing of an
older world can be met there.
"""

import asyncio
import hmac
import logging
import os
from http import HTTPStatus
from pathlib import Path

import aiohttp

from everstep_agent.backoff import Backoff
from everstep_api.wire.decode import MalformedMessageError, decode
from everstep_api.wire.ranks import JoinStore
from everstep_api.wire.sync import Run

_log = logging.getLogger(__name__)

HOLD_S = 20.0
_CONNECT_TIMEOUT_S = 2.0


class WorldOverError(Exception):
    """The world is older than the newest one here."""


class WrongSecretError(Exception):
    """Who asks is no member of the world."""


class Worlds:
    """The store of the newest world that this worker was told to be in."""

    def __init__(self, newest: int) -> None:
        self._newest = newest
        self._secret: str | None = None
        self._store: JoinStore | None = None
        self._news = asyncio.Event()

    def enter(self, run: Run) -> None:
        """From now on this world is the newest."""
        self._newest, self._secret, self._store = run.world, run.secret, None
        self._tell()

    def publish(self, world: int, store: JoinStore) -> None:
        """Answer with this store, unless the world is over by now."""
        if world == self._newest:
            self._store = store
            self._tell()

    async def find(self, world: int, secret: str) -> JoinStore:
        """Return the store of a world; wait for one that is not known yet.

        Raises:
            WorldOverError: a later world is known here, or it was entered by a process that is gone.
            WrongSecretError: the secret is not that of the world.
            TimeoutError: still not known after 20 s.
        """
        async with asyncio.timeout(HOLD_S):
            while True:
                if world < self._newest or (world == self._newest and self._secret is None):
                    raise WorldOverError
                if world == self._newest and self._secret is not None:
                    if not hmac.compare_digest(secret.encode(), self._secret.encode()):
                        raise WrongSecretError
                    if self._store is not None:
                        return self._store
                await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def fetch_store(session: aiohttp.ClientSession, run: Run) -> JoinStore | None:
    """Ask the first member for the world's store until it is known; return nothing if the world is over there.

    There is no limit but the world itself: whoever calls this cancels it with the next directive.
    """
    backoff = Backoff(first_s=0.02, longest_s=1.0)
    while True:
        try:
            return await _ask(session, run)
        except WorldOverError:
            _log.warning("The first member knows a later world, so this one is not entered: world=%d", run.world)
            return None
        except (aiohttp.ClientError, TimeoutError, MalformedMessageError) as error:
            _log.debug("The first member does not tell the store yet: world=%d error=%r", run.world, error)
        await asyncio.sleep(backoff.take())


async def _ask(session: aiohttp.ClientSession, run: Run) -> JoinStore:
    timeout = aiohttp.ClientTimeout(total=HOLD_S + _CONNECT_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    url = f"http://{run.members[0].address}/worlds/{run.world}"
    headers = {"Authorization": f"Bearer {run.secret}"}
    async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
        if response.status == HTTPStatus.NOT_FOUND:
            raise WorldOverError
        response.raise_for_status()
        store: JoinStore = decode(await response.read(), JoinStore)
        return store


class Memory:
    """The newest world that was entered, kept in a file of the pod's memory volume.

    A container that starts again must not enter the world that its ranks were in: their places there are gone, and a
    second rank under the same number could meet the old store. The file outlives the container and not the pod.
    """

    def __init__(self, folder: Path, *, pod_uid: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # It is opened, and written once, before any rank could fill the volume; each write takes the same bytes again.
        self._descriptor = os.open(folder / f"everstep-world-{pod_uid}", os.O_RDWR | os.O_CREAT, 0o600)
        self.write(self.read())

    def read(self) -> int:
        """Return the newest world, 0 for none."""
        return int(os.pread(self._descriptor, 32, 0) or b"0")

    def write(self, world: int) -> None:
        """Remember a world."""
        os.pwrite(self._descriptor, b"%020d\n" % world, 0)
