"""Builds jobs for tests, from the smallest that is right: `a_job().workers(8).setting("spec.suspend", True)`."""

import copy
from dataclasses import dataclass, field
from typing import Any, Self

Manifest = dict[str, Any]


def _smallest() -> Manifest:
    return {
        "apiVersion": "everstep.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "finetune", "namespace": "default"},
        "spec": {
            "recipe": {
                "model": {"source": "s3://team/models/small"},
                "data": {"train": [{"source": "s3://team/data/chat.jsonl"}]},
            },
            "storage": {"uri": "s3://team/runs"},
            "workers": {"replicas": 2},
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBuilder:
    """A job in the making; each call returns another one, so that jobs can share a beginning."""

    _manifest: Manifest = field(default_factory=_smallest)

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The job of a manifest that stands somewhere else."""
        return cls(_manifest=copy.deepcopy(manifest))

    def named(self, name: str) -> Self:
        """The job under this name."""
        return self.setting("metadata.name", name)

    def workers(self, replicas: int, *, at_least: int | None = None) -> Self:
        """The job with this many workers, and content with fewer if `at_least` says so."""
        wanted = self.setting("spec.workers.replicas", replicas)
        return wanted if at_least is None else wanted.setting("spec.workers.minReplicas", at_least)

    def suspended(self) -> Self:
        """The job as one that shall stand still."""
        return self.setting("spec.suspend", value=True)

    def setting(self, path: str, value: Any) -> Self:
        """The job with this value at the dotted path; mappings on the way are made."""
        manifest = copy.deepcopy(self._manifest)
        *way, last = path.split(".")
        place = manifest
        for name in way:
            place = place.setdefault(name, {})
        place[last] = value
        return type(self)(_manifest=manifest)

    def without(self, path: str) -> Self:
        """The job without the field at the dotted path."""
        manifest = copy.deepcopy(self._manifest)
        *way, last = path.split(".")
        place = manifest
        for name in way:
            place = place[name]
        del place[last]
        return type(self)(_manifest=manifest)

    @property
    def manifest(self) -> Manifest:
        """The job as a manifest of its own."""
        return copy.deepcopy(self._manifest)

    @property
    def spec(self) -> Manifest:
        """The job's spec."""
        spec: Manifest = self.manifest["spec"]
        return spec


def a_job() -> JobBuilder:
    """The smallest job: a model, a source of data, a storage and two workers."""
    return JobBuilder()
