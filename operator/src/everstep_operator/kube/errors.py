"""What an API server's refusals mean to us.

ClusterError
├── RefusedError           4xx: it will not have it as it is; the text is its own sentence
│   └── NotFoundError      404
├── ConflictError          409: somebody else wrote first
│   └── AlreadyThereError  409 on create
├── ExpiredError           410: the version from which a list or a watch should go on is forgotten
└── UnreachableError       401, 429, 5xx, no connection, no answer in time, or an answer cut in its middle
"""

from http import HTTPStatus

from everstep_api.resource import Manifest
from everstep_operator.cluster import ClusterError, ConflictError, RefusedError, UnreachableError


class NotFoundError(RefusedError):
    """There is no such object."""


class AlreadyThereError(ConflictError):
    """An object of this name exists."""


class ExpiredError(ClusterError):
    """What was to be gone on from is forgotten: begin anew."""


def error_of(status: Manifest, *, call: str) -> ClusterError:
    """The error that an API server's `Status` object tells.

    Args:
        status: The object, with `code`, `reason` and `message`.
        call: What was asked, for people.
    """
    code, reason, message = status.get("code", 0), status.get("reason", ""), status.get("message", "")
    said = message or f"{call} was answered with {code} and no word."
    if code == HTTPStatus.NOT_FOUND:
        return NotFoundError(said)
    if code == HTTPStatus.CONFLICT:
        return AlreadyThereError(said) if reason == "AlreadyExists" else ConflictError(said)
    if code == HTTPStatus.GONE:
        return ExpiredError(said)
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS} or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnreachableError(f"{call} was answered with {code}: {said}")
    return RefusedError(said)
