"""The keys that outlive every leader: a Secret beside the operator, and what of it each job's pods are given.

The Secret is made by the first leader and read by all others. Of two that make it at once, one is refused and takes
what the other made.
"""

import base64
import binascii
import logging

from everstep_api.resource import Manifest
from everstep_operator.cluster import RefusedError
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import AlreadyThereError, NotFoundError
from everstep_operator.kube.pod_facts import controller_of
from everstep_operator.sync.certificates import Keys

log = logging.getLogger(__name__)

_CERTIFICATE, _KEY, _HMAC = "ca.crt", "ca.key", "hmac.key"
_MANAGED = {"app.kubernetes.io/managed-by": "everstep"}


class KeysError(Exception):
    """The Secret is there and has not what it should; the text says what to do."""


async def load_keys(client: Client, *, namespace: str, name: str) -> Keys:
    """The keys; made now if there are none.

    Raises:
        KeysError: the Secret is none of ours.
        ClusterError: the API server did not answer, or refuses.
    """
    path = f"/api/v1/namespaces/{namespace}/secrets"
    try:
        return _keys_in(await client.get(f"{path}/{name}"))
    except NotFoundError:
        log.info("making the keys of the sync API", extra={"secret": name})
    try:
        return _keys_in(await client.send("POST", path, _secret(Keys.make(), namespace=namespace, name=name)))
    except AlreadyThereError:
        return _keys_in(await client.get(f"{path}/{name}"))


async def publish_authority(client: Client, pod: Manifest, *, name: str, certificate_pem: bytes) -> None:
    """Make the ConfigMap by which a job's pods trust the sync API, and take it back from whatever has changed it.

    Args:
        client: The API server.
        pod: The manifest of a pod of the job, whose owner owns the ConfigMap, too.
        name: The ConfigMap's.
        certificate_pem: What is to be trusted.

    Raises:
        RefusedError: an object of that name belongs to somebody else.
    """
    namespace = pod["metadata"]["namespace"]
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    wanted: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": _MANAGED,
            "ownerReferences": pod["metadata"]["ownerReferences"],
        },
        "data": {_CERTIFICATE: certificate_pem.decode()},
    }
    try:
        await client.send("POST", path, wanted)
    except AlreadyThereError as error:
        found = await client.get(f"{path}/{name}")
        if controller_of(found) is None:
            raise RefusedError(
                f"The ConfigMap {namespace}/{name} belongs to somebody else; delete it, or give the job another name."
            ) from error
        if found["data"] != wanted["data"] or controller_of(found) != controller_of(wanted):
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            await client.send("PUT", f"{path}/{name}", {**wanted, "metadata": {**wanted["metadata"], **version}})


def _secret(keys: Keys, *, namespace: str, name: str) -> Manifest:
    parts = {_CERTIFICATE: keys.certificate_pem, _KEY: keys.key_pem, _HMAC: keys.secret}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": _MANAGED},
        "type": "Opaque",
        "data": {part: base64.b64encode(value).decode() for part, value in parts.items()},
    }


def _keys_in(secret: Manifest) -> Keys:
    try:
        parts = {name: base64.b64decode(value, validate=True) for name, value in secret.get("data", {}).items()}
        return Keys(certificate_pem=parts[_CERTIFICATE], key_pem=parts[_KEY], secret=parts[_HMAC])
    except (KeyError, binascii.Error) as error:
        name = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
        raise KeysError(
            f"The Secret {name} has no usable {error}; delete it, and the leader makes a new one. Workers that run"
            " trust the old one and have to be replaced."
        ) from error
