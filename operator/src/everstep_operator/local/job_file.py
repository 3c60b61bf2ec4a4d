"""A job as a file: written whole, in one move, and only by whoever has read its newest version."""

import json
import os
import uuid
from pathlib import Path

from everstep_api.reading import read_status
from everstep_api.resource import Manifest
from everstep_api.status import TrainingJobStatus
from everstep_operator.cluster import ConflictError
from everstep_operator.decide.facts import Job, JobKey

DEFAULT_NAMESPACE = "default"


class JobFile:
    """One TrainingJob on disk. Methods block for the time of one small file; they are called in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, manifest: Manifest) -> JobKey:
        """Write a new job, with the metadata that an API server would give it."""
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", DEFAULT_NAMESPACE)
        given = {"namespace": namespace, "uid": str(uuid.uuid4()), "generation": 1, "resourceVersion": "1"}
        self._write({**manifest, "metadata": {**metadata, **given}})
        return JobKey(namespace, metadata["name"])

    def read(self) -> Job | None:
        """The job as it is now; None when there is no file."""
        manifest = self._read()
        if manifest is None:
            return None
        metadata = manifest["metadata"]
        return Job(
            key=JobKey(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            generation=metadata["generation"],
            version=metadata["resourceVersion"],
            spec=manifest["spec"],
            status=read_status(TrainingJobStatus, manifest.get("status", {})),
        )

    def write_status(self, job: Job, status: TrainingJobStatus) -> None:
        """Write the status.

        Raises:
            ConflictError: the file is newer than `job`, or another job's.
        """
        manifest = self._read()
        if manifest is None or manifest["metadata"]["uid"] != job.uid:
            raise ConflictError(f"The job {job.key} is another one now.")
        version = manifest["metadata"]["resourceVersion"]
        if version != job.version:
            raise ConflictError(f"The job {job.key} is at version {version}, and {job.version} was read.")
        self._write({**_next(manifest), "status": status.manifest()})

    def write_spec(self, spec: Manifest) -> None:
        """Write another spec, as `kubectl apply` would."""
        manifest = self._read()
        if manifest is None:
            raise ConflictError(f"There is no job in {self.path}.")
        changed = _next(manifest)
        changed["metadata"]["generation"] += 1
        self._write({**changed, "spec": spec})

    def delete(self) -> None:
        """Remove the job; that it is gone is success."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> Manifest | None:
        try:
            manifest: Manifest = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        return manifest

    def _write(self, manifest: Manifest) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        draft.write_text(json.dumps(manifest, indent=1, allow_nan=False))
        draft.replace(self.path)


def _next(manifest: Manifest) -> Manifest:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "resourceVersion": str(int(metadata["resourceVersion"]) + 1)}}
