"""Who may speak for which pod: projected service-account tokens, verified without asking anybody.

A token names its job by its audience and its pod by a claim that the API server wrote, so its signature is all that has
to be checked. Outside of a cluster the same claims are signed by a key of our own, and the same verifier reads them.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from everstep_operator.podspec import audience

_ALGORITHMS = ("RS256", "ES256")
"""What API servers sign with: RSA keys in most clusters, elliptic ones in some."""

_LEEWAY = timedelta(seconds=60)
"""Clocks of nodes may differ by so much; a token is renewed long before its end."""


class TokenError(Exception):
    """The bearer is nobody, or not who the request is about. The text says what is wrong with the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """The pod that a token speaks for."""

    namespace: str
    pod_uid: str


class TokenVerifier:
    """Checks tokens against the public keys of those who sign them."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        """Take the keys by their `kid`."""
        self._keys = dict(keys)

    def trust(self, keys: Mapping[str, Any]) -> None:
        """Trust these keys from now on, and no others."""
        self._keys = dict(keys)

    def verify(self, token: str, *, namespace: str, job_uid: str) -> Speaker:
        """Return who speaks.

        Raises:
            TokenError: the token is none of this job, has expired, or is signed by a stranger.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            key = self._keys.get(kid)
            if key is None:
                raise TokenError(f"The key {kid!r} that signed the token is none of this cluster.")
            claims = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=audience(namespace, job_uid),
                leeway=_LEEWAY,
                options={"require": ["exp", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise TokenError(f"The token is not valid here: {error}.") from error
        return _speaker(claims)


class TokenSigner:
    """Signs tokens of the shape that a kubelet gets for a pod."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._kid = base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).decode().rstrip("=")
        self.public_keys: Mapping[str, Any] = {self._kid: public}

    def sign(
        self, *, namespace: str, pod_name: str, pod_uid: str, audience: str, now: datetime, lifetime: timedelta
    ) -> str:
        """Return a token that lets its bearer speak for this pod to this audience."""
        account = "default"
        claims = {
            "aud": [audience],
            "exp": now + lifetime,
            "iat": now,
            "nbf": now,
            "iss": "everstep",
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "kubernetes.io": {
                "namespace": namespace,
                "pod": {"name": pod_name, "uid": pod_uid},
                "serviceaccount": {"name": account},
            },
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._kid})


def _speaker(claims: Mapping[str, Any]) -> Speaker:
    bound = claims.get("kubernetes.io")
    if not isinstance(bound, dict) or not isinstance(bound.get("pod"), dict):
        raise TokenError("The token is bound to no pod; workers use the projected one of their pod.")
    return Speaker(namespace=str(bound.get("namespace", "")), pod_uid=str(bound["pod"].get("uid", "")))
