"""TrainingJobs on the API server of these tests."""

import json
from dataclasses import dataclass
from typing import Any

from kubernetes import client

from everstep_api.job import GROUP, PLURAL, VERSION
from tests.builders import Manifest

TIMEOUT_S = 10


class Refused(Exception):  # noqa: N818  # it is what happened to a request, as in `pytest.raises(Refused)`
    """The API server did not take it; `sentence` is what it said about the object."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """The jobs of one namespace, with the strict field validation that kubectl asks for."""

    api: client.CustomObjectsApi
    namespace: str

    def try_to_create(self, manifest: Manifest) -> Manifest:
        """What the API server would store, without storing it."""
        return self._call("create_namespaced_custom_object", body=self._here(manifest), dry_run="All")

    def create(self, manifest: Manifest) -> Manifest:
        """The job as stored."""
        return self._call("create_namespaced_custom_object", body=self._here(manifest))

    def get(self, name: str) -> Manifest:
        """The job as stored."""
        return self._call("get_namespaced_custom_object", name=name, strict=False)

    def replace(self, manifest: Manifest) -> Manifest:
        """Store this in place of the job of this name."""
        return self._call("replace_namespaced_custom_object", name=manifest["metadata"]["name"], body=manifest)

    def replace_status(self, manifest: Manifest) -> Manifest:
        """Store this status in place of the job's."""
        name = manifest["metadata"]["name"]
        return self._call("replace_namespaced_custom_object_status", name=name, body=manifest)

    def scale(self, name: str, replicas: int) -> Manifest:
        """Change the number of workers as `kubectl scale` does."""
        call = "patch_namespaced_custom_object_scale"
        return self._call(call, name=name, body={"spec": {"replicas": replicas}})

    def scale_of(self, name: str) -> Manifest:
        """What autoscalers see."""
        return self._call("get_namespaced_custom_object_scale", name=name, strict=False)

    def _here(self, manifest: Manifest) -> Manifest:
        return {**manifest, "metadata": {**manifest["metadata"], "namespace": self.namespace}}

    def _call(self, method: str, *, strict: bool = True, **arguments: Any) -> Manifest:
        place = {"group": GROUP, "version": VERSION, "namespace": self.namespace, "plural": PLURAL}
        validation = {"field_validation": "Strict"} if strict else {}
        try:
            answer = getattr(self.api, method)(**place, **validation, **arguments, _request_timeout=TIMEOUT_S)
        except client.ApiException as error:
            raise Refused(error.status, _sentence(json.loads(error.body or "{}").get("message", ""))) from None
        stored: Manifest = answer
        return stored


def _sentence(message: str) -> str:
    """The message without the words about the object's kind and name with which the API server begins."""
    for words in (" is invalid: ", "strict decoding error: "):
        _, found, rest = message.partition(words)
        if found:
            return rest
    return message
