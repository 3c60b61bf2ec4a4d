"""The public keys by which the API server signs the tokens of pods, read now and then: they are exchanged, too."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NoReturn

import jwt

from everstep_operator.cluster import ClusterError
from everstep_operator.kube.client import Client
from everstep_operator.sync.tokens import TokenVerifier

log = logging.getLogger(__name__)

_PATH = "/openid/v1/jwks"
_REFRESH_S = 60.0
"""Agents whose token is signed by a newer key are refused for as long as that; they go on and ask again."""


async def load_signers(client: Client) -> Mapping[str, Any]:
    """The keys by their `kid`; those of a kind that we do not know are left out."""
    document = await client.get(_PATH, accept="application/jwk-set+json, application/json")
    return {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id is not None}


async def keep_signers_fresh(client: Client, verifier: TokenVerifier) -> NoReturn:
    """Have the verifier trust who signs, until cancelled."""
    while True:
        await asyncio.sleep(_REFRESH_S)
        try:
            verifier.trust(await load_signers(client))
        except (ClusterError, jwt.PyJWKSetError) as error:
            log.warning("the keys of the API server cannot be read; going on with those of before: %s", error)
