"""How long to wait before asking again."""

import random


class Backoff:
    """Waits that double up to a longest, each shortened at random: a thousand agents must not ask in one breath."""

    def __init__(self, *, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._next_s = self._first_s

    def take(self) -> float:
        """Return the next wait in seconds, between half and all of it."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._longest_s)
        return wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads load, it hides nothing
