"""The cluster's profiles: ConfigMaps beside the operator, labelled `everstep.dev/profile: <name>`.

The key `spec.yaml` of each holds a part of a spec.
"""

import asyncio
import logging
from collections.abc import Mapping

from everstep_api.manifest import ManifestError, read_manifests
from everstep_api.resource import Manifest
from everstep_operator.kube.client import Client, collected
from everstep_operator.podspec import LABEL

log = logging.getLogger(__name__)

KEY = "spec.yaml"
_LABEL = f"{LABEL}/profile"
_FRESH_S = 10.0
"""Profiles change with a release of the chart; each reconcile asks for them."""


class Profiles:
    """The profiles as they were within the last seconds."""

    def __init__(self, client: Client, *, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._read_at: float | None = None
        self._known: Mapping[str, Manifest] = {}
        self._reading = asyncio.Lock()

    async def read(self) -> Mapping[str, Manifest]:
        """Parts of a spec by the profile's name; one that is malformed is left out and told in the log.

        Raises:
            ClusterError: the API server did not answer, or refuses.
        """
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self._read_at is None or now - self._read_at >= _FRESH_S:
                items = await collected(self._client, self._path, {"labelSelector": _LABEL})
                parts = {item["metadata"]["labels"][_LABEL]: _part(item) for item in items}
                self._known = {name: part for name, part in parts.items() if part is not None}
                self._read_at = now
        return self._known


def _part(config_map: Manifest) -> Manifest | None:
    name = config_map["metadata"]["name"]
    try:
        parts = read_manifests(config_map.get("data", {}).get(KEY, ""))
    except ManifestError as error:
        log.warning("the profile in the ConfigMap %s is no YAML and is left out: %s", name, error)
        return None
    if len(parts) != 1:
        log.warning("the ConfigMap %s has %d documents in %s where one is a profile", name, len(parts), KEY)
        return None
    return parts[0]
