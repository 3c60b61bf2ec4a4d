"""Where agents find the leader: the one EndpointSlice of a Service without selector, which each leader writes anew."""

import asyncio
import logging
from ipaddress import ip_address
from typing import NoReturn

from everstep_api.resource import Manifest
from everstep_operator.cluster import ClusterError, ConflictError
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import NotFoundError

log = logging.getLogger(__name__)

PORT_NAME = "sync"
"""Of the port in Service and slice; kube-proxy joins the two by it."""
_LOOK_S = 10.0
"""Agents notice nothing of a slice that somebody deleted until they connect anew, so there is no hurry."""


class Endpoint:
    """The slice that names this process."""

    def __init__(self, client: Client, *, namespace: str, service: str, address: str, port: int) -> None:
        self._client = client
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._name = f"{service}-leader"
        self._wanted: Manifest = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": self._name,
                "namespace": namespace,
                "labels": {
                    "kubernetes.io/service-name": service,
                    "endpointslice.kubernetes.io/managed-by": "everstep-operator",
                },
            },
            "addressType": f"IPv{ip_address(address).version}",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": PORT_NAME, "port": port, "protocol": "TCP"}],
        }

    async def announce(self) -> None:
        """Make the slice name this process.

        Raises:
            ClusterError: the API server did not answer, or refuses.
        """
        path = f"{self._path}/{self._name}"
        try:
            found = await self._client.get(path)
        except NotFoundError:
            await self._client.send("POST", self._path, self._wanted)
            return
        if found["addressType"] != self._wanted["addressType"]:
            # The kind of address never changes, so a cluster that was given the other one needs another slice.
            await self._client.send("DELETE", path, {"preconditions": {"uid": found["metadata"]["uid"]}})
            await self._client.send("POST", self._path, self._wanted)
        elif not _is_held(found, self._wanted):
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            named = {**self._wanted, "metadata": {**self._wanted["metadata"], **version}}
            await self._client.send("PUT", path, named)

    async def keep(self) -> NoReturn:
        """Keep it so until cancelled."""
        while True:
            try:
                await self.announce()
            except ConflictError:
                continue
            except ClusterError as error:
                log.warning("agents cannot be told where the leader is; trying again: %s", error)
            await asyncio.sleep(_LOOK_S)


def _is_held(found: Manifest, wanted: Manifest) -> bool:
    """Whether nothing is missing of what is wanted; the API server adds fields of its own."""
    address, port = wanted["endpoints"][0]["addresses"], wanted["ports"][0]["port"]
    return (
        [endpoint["addresses"] for endpoint in found["endpoints"]] == [address]
        and [entry["port"] for entry in found.get("ports") or []] == [port]
        and wanted["metadata"]["labels"].items() <= found["metadata"].get("labels", {}).items()
    )
