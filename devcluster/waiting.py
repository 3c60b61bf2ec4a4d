"""Waiting for a state that nothing announces."""

import time
from collections.abc import Callable

from devcluster.problem import DevclusterError

_INTERVAL_S = 0.05


def wait_until(is_reached: Callable[[], bool], *, timeout_s: float, failure: str) -> None:
    """Return once `is_reached()` is true; raise `DevclusterError(failure)` after `timeout_s`.

    For what can only be asked: a port that opens, a file that another program writes. Where a watch, a pidfd or a
    blocking call exists, use that.
    """
    deadline = time.monotonic() + timeout_s
    while not is_reached():
        if time.monotonic() > deadline:
            raise DevclusterError(failure)
        time.sleep(_INTERVAL_S)
