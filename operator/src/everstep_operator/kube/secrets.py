"""The keys that outlive every leader: a Secret beside the operator.

The Secret is made by the first leader and read by all others. Of two that make it at once, one is refused and takes
what the other made.
"""

import base64
import binascii
import logging

from everstep_api.resource import Manifest
from everstep_operator.kube.client import Client
from everstep_operator.kube.errors import AlreadyThereError, NotFoundError
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
