"""The cluster that one machine is: jobs in files, pods as processes, events in the log."""

import asyncio
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import RefusedError
from everstep_operator.decide.decision import DoomedPod, Event
from everstep_operator.decide.facts import Job, JobKey, Pod
from everstep_operator.decide.pin import KeyOfConfigMap, Pin
from everstep_operator.local.addresses import addresses
from everstep_operator.local.container import container_of
from everstep_operator.local.job_file import JobFile
from everstep_operator.local.process import PodProcess
from everstep_operator.local.volumes import Volumes
from everstep_operator.podspec import LABEL
from everstep_operator.sync.tokens import TokenSigner

log = logging.getLogger(__name__)

NODE = "local"

_TOKEN_LASTS = timedelta(days=365)
"""Nobody renews tokens here. They lie in a folder of their own user, and the key that signs them dies with us."""

_FAREWELL_S = 5.0
"""How long processes have to end when the cluster is closed; whoever closes it has already given the job its end."""

Told = Callable[[Job, Event], None]


class LocalCluster:
    """A `Cluster` whose jobs lie below a folder. Use it as a context: at its end all pods are ended."""

    def __init__(
        self,
        folder: Path,
        *,
        signer: TokenSigner,
        authority_pem: bytes,
        wake: Callable[[JobKey], None],
        tell: Told = lambda _job, _event: None,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep jobs and pods below the folder.

        Args:
            folder: Where they lie.
            signer: Signs the pods' tokens.
            authority_pem: What the pods trust.
            wake: Has a job looked at.
            tell: Hears each event.
            written: Hears that a status was written.
        """
        self._folder = folder
        self._signer = signer
        self._authority_pem = authority_pem
        self._wake = wake
        self._tell = tell
        self._written = written
        self._addresses = addresses()
        self._processes: dict[str, dict[str, PodProcess]] = {}
        self._pins: dict[str, Pin] = {}
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        processes = [process for processes in self._processes.values() for process in processes.values()]
        for process in processes:
            process.end(_FAREWELL_S)
        await self._group.__aexit__(None, None, None)
        for process in processes:
            await asyncio.to_thread(process.volumes.remove)

    # -- what a person would do by kubectl

    async def submit(self, manifest: Manifest) -> JobKey:
        """Create the job, in place of one of that name and its logs."""
        path = self.job_path(manifest)
        await asyncio.to_thread(shutil.rmtree, path.parent / "pods", ignore_errors=True)
        key = await asyncio.to_thread(JobFile(path).create, manifest)
        self._wake(key)
        return key

    async def change_spec(self, key: JobKey, spec: Manifest) -> None:
        """Replace the job's spec, also while it runs."""
        await asyncio.to_thread(self._file(key).write_spec, spec)
        self._wake(key)

    def job_path(self, manifest: Manifest) -> Path:
        """The job's file."""
        metadata = manifest["metadata"]
        return self._file(JobKey(metadata.get("namespace", "default"), metadata["name"])).path

    def log_paths(self, key: JobKey) -> list[Path]:
        """The logs of the job's pods, by worker and age."""
        return sorted((self._home(key) / "pods").glob("*/trainer.log"))

    def process(self, job_uid: str, pod_uid: str) -> PodProcess:
        """The process of a pod, for tests that injure it."""
        return self._processes[job_uid][pod_uid]

    # -- the protocol

    async def read_job(self, key: JobKey) -> Job | None:
        """See `Cluster`."""
        return await asyncio.to_thread(self._file(key).read)

    async def profiles(self) -> Mapping[str, Manifest]:
        """See `Cluster`. A machine has none."""
        return {}

    async def read_key(self, job: Job, key: KeyOfConfigMap) -> str | None:  # noqa: ARG002 - a machine has no ConfigMaps
        """See `Cluster`."""
        return None

    async def read_pin(self, job: Job) -> Pin | None:
        """See `Cluster`."""
        return self._pins.get(job.uid)

    async def prepare(self, job: Job, pin: Pin, belongings: Sequence[Manifest]) -> None:  # noqa: ARG002 - nobody drains a machine, and its processes listen on loopback
        """See `Cluster`. No pod outlives this process, so neither does the pin."""
        self._pins[job.uid] = pin

    async def remove(self, job: Job, belonging: Manifest) -> None:
        """See `Cluster`. A job has none here."""

    def pods(self, job_uid: str) -> tuple[Pod, ...]:
        """See `Cluster`."""
        return tuple(process.fact for process in self._processes.get(job_uid, {}).values())

    async def create_pod(self, manifest: Manifest, *, is_rehearsal: bool = False) -> None:
        """See `Cluster`."""
        metadata = manifest["metadata"]
        job_uid = metadata["labels"][f"{LABEL}/job-uid"]
        key = JobKey(metadata["namespace"], metadata["labels"][f"{LABEL}/job-name"])
        if is_rehearsal or any(pod.name == metadata["name"] for pod in self.pods(job_uid)):
            return
        pod = {**manifest, "metadata": {**metadata, "uid": str(uuid.uuid4())}}
        process = await asyncio.to_thread(self._prepare, pod, key, next(self._addresses))
        self._processes.setdefault(job_uid, {})[process.fact.uid] = process
        self._group.create_task(self._run(key, job_uid, process))
        self._wake(key)

    async def delete_pod(self, job: Job, pod: DoomedPod) -> None:
        """See `Cluster`."""
        process = self._processes.get(job.uid, {}).get(pod.uid)
        if process is None:
            return
        process.end()
        if process.fact.phase == "Succeeded":
            await self._forget(job.key, job.uid, process)

    async def write_status(self, job: Job, status: TrainingJobStatus) -> None:
        """See `Cluster`."""
        await asyncio.to_thread(self._file(job.key).write_status, job, status)
        self._written()

    async def delete_job(self, job: Job) -> None:
        """See `Cluster`."""
        for process in self._processes.get(job.uid, {}).values():
            process.end()
        await asyncio.to_thread(self._file(job.key).delete)
        self._wake(job.key)

    async def record(self, job: Job, event: Event) -> None:
        """See `Cluster`."""
        level = logging.WARNING if event.type == "Warning" else logging.INFO
        log.log(level, "%s: %s", event.reason, event.message, extra={"job": str(job.key)})
        self._tell(job, event)

    # -- pods

    def _prepare(self, pod: Manifest, key: JobKey, address: str) -> PodProcess:
        metadata, spec = pod["metadata"], pod["spec"]
        if len(spec["containers"]) > 1 or spec.get("initContainers"):
            raise RefusedError("The template has containers beside the trainer, and this machine runs none of those.")
        folder = self._home(key) / "pods" / metadata["name"]
        folder.mkdir(parents=True, exist_ok=True)
        volumes = Volumes(folder / "volumes")
        mounts = volumes.make(pod, lambda source: self._projected(pod, source))
        fact = Pod(
            name=metadata["name"],
            uid=metadata["uid"],
            worker=int(metadata["labels"][f"{LABEL}/worker-index"]),
            phase="Pending",
            created=datetime.now(UTC),
            node=NODE,
        )
        return PodProcess(
            fact,
            container_of(pod, address=address, node=NODE, mounts=mounts, shell=os.environ),
            volumes=volumes,
            log_path=folder / "trainer.log",
            grace_s=spec["terminationGracePeriodSeconds"],
            changed=lambda: self._wake(key),
        )

    def _projected(self, pod: Manifest, source: Manifest) -> Mapping[str, bytes]:
        match source:
            case {"serviceAccountToken": {"path": path, "audience": audience}}:
                token = self._signer.sign(
                    namespace=pod["metadata"]["namespace"],
                    pod_name=pod["metadata"]["name"],
                    pod_uid=pod["metadata"]["uid"],
                    audience=audience,
                    now=datetime.now(UTC),
                    lifetime=_TOKEN_LASTS,
                )
                return {path: token.encode()}
            case {"configMap": {"items": [{"key": "ca.crt", "path": path}]}}:
                return {path: self._authority_pem}
            case _:
                raise RefusedError(f"A volume projects {', '.join(source)}, which this machine has not.")

    async def _run(self, key: JobKey, job_uid: str, process: PodProcess) -> None:
        await process.run()
        if process.fact.is_deleted:
            await self._forget(key, job_uid, process)

    async def _forget(self, key: JobKey, job_uid: str, process: PodProcess) -> None:
        """Let a deleted pod that has ended be gone; its log stays."""
        self._processes.get(job_uid, {}).pop(process.fact.uid, None)
        await asyncio.to_thread(process.volumes.remove)
        self._wake(key)

    def _home(self, key: JobKey) -> Path:
        return self._folder / key.namespace / key.name

    def _file(self, key: JobKey) -> JobFile:
        return JobFile(self._home(key) / "job.json")
