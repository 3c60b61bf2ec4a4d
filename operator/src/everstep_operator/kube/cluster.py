"""A Kubernetes cluster as the reconciler sees it: jobs read and written at the API server, pods from memory."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress

from everstep_api.job import API_VERSION, DEFAULT_CONTROLLER, KIND
from everstep_api.reading import read_status
from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import ClusterError, ConflictError, RefusedError, UnreachableError
from everstep_operator.decide.decision import DoomedPod, Event
from everstep_operator.decide.facts import Job, JobKey, Pod
from everstep_operator.decide.pin import KeyOfConfigMap, Pin
from everstep_operator.kube import events
from everstep_operator.kube.belongings import path_of, put_in_place, take_away
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import AlreadyThereError, NotFoundError
from everstep_operator.kube.job_map import read_job_map, write_job_map
from everstep_operator.kube.jobs import job_path
from everstep_operator.kube.pod_facts import controller_of
from everstep_operator.kube.profiles import Profiles
from everstep_operator.kube.reflector import PodReflector

log = logging.getLogger(__name__)

_PREPARED_S = 60.0
"""How long what was put in place is trusted to be there, while a job's pods are made."""


class KubeCluster:
    """A `Cluster` of an API server."""

    def __init__(
        self,
        client: Client,
        *,
        reflectors: Sequence[PodReflector],
        profiles: Profiles,
        authority_pem: bytes,
        controller: str = DEFAULT_CONTROLLER,
        instance: str,
    ) -> None:
        """Act on an API server.

        Args:
            client: The API server.
            reflectors: The pods, of disjoint parts of the cluster.
            profiles: The cluster's profiles.
            authority_pem: What pods trust.
            controller: Whose jobs these are, as `managedBy` has it.
            instance: Which process of it this is.
        """
        self._client = client
        self._reflectors = reflectors
        self._profiles = profiles
        self._authority_pem = authority_pem
        self._controller = controller
        self._instance = instance
        self._prepared: dict[str, tuple[float, Sequence[Manifest]]] = {}
        self._pins: dict[JobKey, tuple[str, Pin]] = {}

    async def read_job(self, key: JobKey) -> Job | None:
        """See `Cluster`."""
        try:
            manifest = await self._client.get(job_path(key))
        except NotFoundError:
            self._pins.pop(key, None)
            return None
        metadata, spec = manifest["metadata"], manifest["spec"]
        if spec.get("managedBy", DEFAULT_CONTROLLER) != self._controller:
            return None
        return Job(
            key=key,
            uid=metadata["uid"],
            generation=metadata["generation"],
            version=metadata["resourceVersion"],
            spec=spec,
            status=read_status(TrainingJobStatus, manifest.get("status", {})),
            is_deleted="deletionTimestamp" in metadata,
        )

    async def profiles(self) -> Mapping[str, Manifest]:
        """See `Cluster`."""
        return await self._profiles.read()

    async def read_key(self, job: Job, key: KeyOfConfigMap) -> str | None:
        """See `Cluster`."""
        try:
            found = await self._client.get(f"{path_of('ConfigMap', job)}/{key.name}")
        except NotFoundError:
            return None
        text: str | None = found.get("data", {}).get(key.key)
        return text

    async def read_pin(self, job: Job) -> Pin | None:
        """See `Cluster`. It never changes, so it is read once."""
        if (known := self._known_pin(job)) is not None:
            return known
        found = await read_job_map(self._client, job)
        if found is not None:
            self._pins[job.key] = (job.uid, found)
        return found

    async def prepare(self, job: Job, pin: Pin, belongings: Sequence[Manifest]) -> None:
        """See `Cluster`."""
        now = asyncio.get_running_loop().time()
        self._prepared = {uid: (at, put) for uid, (at, put) in self._prepared.items() if now - at < _PREPARED_S}
        _, put_before = self._prepared.get(job.uid, (now, None))
        if put_before == belongings:
            return
        is_known = self._known_pin(job) == pin
        await write_job_map(self._client, job, pin, certificate_pem=self._authority_pem, is_known=is_known)
        self._pins[job.key] = (job.uid, pin)
        for wanted in belongings:
            await put_in_place(self._client, job, wanted)
        self._prepared[job.uid] = (now, belongings)

    async def remove(self, job: Job, belonging: Manifest) -> None:
        """See `Cluster`."""
        await take_away(self._client, job, belonging)

    def pods(self, job_uid: str) -> tuple[Pod, ...]:
        """See `Cluster`."""
        return tuple(pod for reflector in self._reflectors for pod in reflector.pods(job_uid))

    async def create_pod(self, manifest: Manifest, *, is_rehearsal: bool = False) -> None:
        """See `Cluster`. A field that Kubernetes does not know is refused rather than dropped in silence."""
        path = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/pods"
        strict = {"fieldValidation": "Strict"}
        query = {**strict, "dryRun": "All"} if is_rehearsal else strict
        try:
            created = await self._client.send("POST", path, manifest, query=query)
        except AlreadyThereError as error:
            try:
                found = await self._client.get(f"{path}/{manifest['metadata']['name']}")
            except NotFoundError as gone:
                raise ConflictError(f"{error} Now it is gone.") from gone
            if (controller_of(found) or {}).get("uid") != (controller_of(manifest) or {}).get("uid"):
                raise RefusedError(f"{error} It belongs to somebody else; delete it.") from error
            return
        except UnreachableError as error:
            if "webhook" in str(error):
                raise RefusedError(str(error)) from error  # it stands in the way until somebody mends it: say so
            raise
        if not is_rehearsal:
            for reflector in self._reflectors:
                reflector.admit(created)

    async def delete_pod(self, job: Job, pod: DoomedPod) -> None:
        """See `Cluster`."""
        with suppress(NotFoundError, ConflictError):  # a conflict: the name has another pod by now
            await self._client.send(
                "DELETE", f"/api/v1/namespaces/{job.key.namespace}/pods/{pod.name}", {"preconditions": {"uid": pod.uid}}
            )

    async def write_status(self, job: Job, status: TrainingJobStatus) -> None:
        """See `Cluster`.

        What a newer operator wrote and this one does not know is gone after this write, as `everstep_api.reading` says:
        it tells of a moment that is over. Of a job on which nothing changes here nothing is written, so there it stays.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": job.key.name,
                "namespace": job.key.namespace,
                "uid": job.uid,
                "resourceVersion": job.version,
            },
            "spec": job.spec,
            "status": status.manifest(),
        }
        try:
            await self._client.send("PUT", f"{job_path(job.key)}/status", body)
        except NotFoundError as error:
            raise ConflictError(f"The job {job.key} is gone.") from error

    async def delete_job(self, job: Job) -> None:
        """See `Cluster`."""
        body = {"preconditions": {"uid": job.uid}, "propagationPolicy": "Background"}
        with suppress(NotFoundError, ConflictError):
            await self._client.send("DELETE", job_path(job.key), body)

    async def record(self, job: Job, event: Event) -> None:
        """See `Cluster`. One that cannot be told is not worth another reconcile: the job's conditions say the same."""
        log.info("%s: %s", event.reason, event.message, extra={"job": str(job.key)})
        try:
            await events.tell(self._client, job, event, controller=self._controller, instance=self._instance)
        except ClusterError as error:
            log.warning("an event is not told: %s", error, extra={"job": str(job.key), "reason": event.reason})

    def _known_pin(self, job: Job) -> Pin | None:
        uid, pin = self._pins.get(job.key, ("", None))
        return pin if uid == job.uid else None
