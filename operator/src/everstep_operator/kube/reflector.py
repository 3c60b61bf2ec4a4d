"""The pods of all jobs, in memory, as the API server tells them: a list, then a watch from where the list ended.

What is kept are facts, not bodies. A list replaces all that was known, so that a pod that went away while nobody
listened does not stay as a ghost. Each change of a fact wakes the job that owns the pod.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from everstep_api.resource import Manifest
from everstep_operator.cluster import ClusterError
from everstep_operator.decide.facts import JobKey, Pod
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import ExpiredError
from everstep_operator.kube.pod_facts import OwnedPod, owned_pod
from everstep_operator.podspec import LABEL

log = logging.getLogger(__name__)

_OURS = {"labelSelector": f"{LABEL}/job-uid"}
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
"""An API server that was away for long is asked each few seconds: pods fail while it is away, too."""


class PodReflector:
    """The pods of jobs in one namespace, or in all."""

    def __init__(self, client: Client, *, namespace: str | None, wake: Callable[[JobKey], None]) -> None:
        self._client = client
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        self._wake = wake
        self._known: dict[str, OwnedPod] = {}
        self._by_job: dict[str, dict[str, Pod]] = {}
        self._version: str | None = None
        self.synced = asyncio.Event()
        """Set once the first list is in."""

    def pods(self, job_uid: str) -> tuple[Pod, ...]:
        """The pods of this job."""
        return tuple(self._by_job.get(job_uid, {}).values())

    def admit(self, manifest: Manifest) -> None:
        """Know a pod that was just created, before the watch tells it: its agent may be quicker than a broken watch."""
        owned = owned_pod(manifest)
        is_here = owned is not None and self._namespace in {None, owned.key.namespace}
        if owned is not None and is_here and owned.pod.uid not in self._known:
            self._put(owned)

    async def run(self) -> None:
        """Keep the pods as they are until cancelled; whatever fails is tried again, ever later up to 5 s."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if self._version is None:
                    await self._list()
                await self._watch()
                pause_s = _FIRST_PAUSE_S
            except ExpiredError:
                self._version = None
            except ClusterError as error:
                log.info("the pods cannot be watched; asking again in %.1f s: %s", pause_s, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _list(self) -> None:
        found: dict[str, OwnedPod] = {}
        version = ""
        async with aclosing(self._client.listed(self._path, _OURS)) as pages:
            async for page in pages:
                version = page["metadata"]["resourceVersion"]
                found.update({owned.pod.uid: owned for item in page["items"] if (owned := owned_pod(item))})
        for uid in self._known.keys() - found.keys():
            self._remove(uid)
        for owned in found.values():
            self._put(owned)
        self._version = version
        self.synced.set()

    async def _watch(self) -> None:
        query = {**_OURS, "resourceVersion": self._version or ""}
        async with aclosing(self._client.watch(self._path, query)) as events:
            async for event in events:
                self._hear(event["type"], event["object"])

    def _hear(self, kind: str, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        if kind == "DELETED":
            self._remove(metadata["uid"])
        elif kind != "BOOKMARK":
            owned = owned_pod(manifest)
            if owned is None:
                self._remove(metadata["uid"])
            else:
                self._put(owned)
        self._version = metadata["resourceVersion"]

    def _put(self, owned: OwnedPod) -> None:
        before = self._known.get(owned.pod.uid)
        if before == owned:
            return
        self._known[owned.pod.uid] = owned
        self._by_job.setdefault(owned.job_uid, {})[owned.pod.uid] = owned.pod
        self._wake(owned.key)

    def _remove(self, uid: str) -> None:
        owned = self._known.pop(uid, None)
        if owned is None:
            return
        pods = self._by_job[owned.job_uid]
        del pods[uid]
        if not pods:
            del self._by_job[owned.job_uid]
        self._wake(owned.key)
