"""Who leads: a Lease that one process holds and renews, and that the others take once it stands still.

A holder that could not renew for 7 s stops; the others wait until they have seen no renewal for 10 s, each by its own
clock. So there is a second or two in which nobody leads, and none in which two do, unless a process stood still in
between; then the preconditions of its writes fail. After client-go's leader election, which has the same numbers in
another size (15/10/2).
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from everstep_api.resource import Manifest
from everstep_operator.cluster import ClusterError, ConflictError
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import NotFoundError

log = logging.getLogger(__name__)


class LeadershipLostError(Exception):
    """Another process leads, or may believe that it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How patient leaders and followers are; all processes must agree."""

    duration_s: float = 10.0
    """Followers take a Lease that was not renewed for so long."""
    deadline_s: float = 7.0
    """A leader that could not renew for so long has stopped leading."""
    retry_s: float = 2.0
    """A leader renews and a follower looks this often."""


class Lease:
    """One process's view of the Lease. Its client has a pace and a timeout of its own: a renewal waits for nobody."""

    def __init__(
        self, client: Client, *, namespace: str, name: str, identity: str, timings: Timings | None = None
    ) -> None:
        self._client = client
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._timings = timings or Timings()
        self._seen: Manifest = {}
        self._seen_at = 0.0
        self._renewed_at = 0.0

    async def acquire(self) -> None:
        """Wait until this process leads."""
        await self._until_held()
        log.info("leading from now on", extra={"identity": self._identity})

    async def keep(self) -> NoReturn:
        """Renew until cancelled.

        Raises:
            LeadershipLostError: it could not be renewed in time, or somebody else has it.
        """
        while True:
            await asyncio.sleep(self._timings.retry_s)
            try:
                async with asyncio.timeout_at(self._renewed_at + self._timings.deadline_s):
                    await self._until_held(is_leader=True)
            except TimeoutError as error:
                raise LeadershipLostError(
                    f"The Lease {self._name} could not be renewed for {self._timings.deadline_s:.0f} s;"
                    " the API server did not answer."
                ) from error

    async def release(self) -> None:
        """Let go of it, so that the next one leads at once; when that fails, the others wait as after a crash."""
        if self._holder != self._identity:
            return
        try:
            await self._write({"leaseDurationSeconds": 1})
        except ClusterError as error:
            log.warning("the lease is not released and will expire: %s", error)

    @property
    def _holder(self) -> str:
        return str(self._seen.get("spec", {}).get("holderIdentity") or "")

    async def _until_held(self, *, is_leader: bool = False) -> None:
        while True:
            try:
                if await self._try():
                    return
            except ConflictError:
                self._seen = {}
                continue  # somebody was quicker: look who
            except ClusterError as error:
                log.info("the lease cannot be reached: %s", error)
            else:
                if is_leader:
                    raise LeadershipLostError(f"{self._holder} has taken the Lease {self._name}.")
            await asyncio.sleep(self._timings.retry_s)

    async def _try(self) -> bool:
        """Look, and take or renew it if that is right; return whether it is ours now."""
        await self._look()
        began = self._now()
        waited_s = began - self._seen_at
        if self._holder not in {"", self._identity} and waited_s < self._timings.duration_s:
            return False
        await self._write(self._claim())
        self._renewed_at = began
        return True

    async def _look(self) -> None:
        """Read it, and remember since when it has been so."""
        try:
            found = await self._client.get(f"{self._path}/{self._name}")
        except NotFoundError:
            found = {}
        if found.get("metadata", {}).get("resourceVersion") != self._seen.get("metadata", {}).get("resourceVersion"):
            self._seen_at = self._now()
        self._seen = found

    async def _write(self, spec: Manifest) -> None:
        """Write it as it should be, if nobody has written since it was read."""
        metadata = {"name": self._name, "resourceVersion": self._seen.get("metadata", {}).get("resourceVersion")}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        method, path = ("PUT", f"{self._path}/{self._name}") if self._seen else ("POST", self._path)
        self._seen = await self._client.send(method, path, lease)
        self._seen_at = self._now()

    def _claim(self) -> Manifest:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        old = self._seen.get("spec", {})
        is_new = self._holder != self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self._timings.duration_s),
            "acquireTime": now if is_new else old.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": old.get("leaseTransitions", 0) + is_new,
        }

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
