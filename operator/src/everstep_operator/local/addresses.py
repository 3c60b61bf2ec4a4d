"""An address of the loopback network for each pod, so that all of them can have the same port."""

import random
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address

from everstep_operator.cluster import RefusedError
from everstep_operator.podspec import PORT

_FIRST = int(IPv4Address("127.1.0.1"))
_LAST = int(IPv4Address("127.254.255.254"))
_TRIES = 100


def addresses() -> Iterator[str]:
    """Addresses on which the agents' port is free, beginning at a random one: other runs may be under way."""
    number = random.randint(_FIRST, _LAST)  # noqa: S311 - only to keep out of one another's way
    failures = 0
    while failures < _TRIES:
        number = number + 1 if number < _LAST else _FIRST
        address = str(IPv4Address(number))
        if _is_free(address):
            failures = 0
            yield address
        else:
            failures += 1
    raise RefusedError(f"Port {PORT} is free on none of {_TRIES} loopback addresses; end what listens on all of them.")


def _is_free(address: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, PORT))
        except OSError:
            return False
    return True
