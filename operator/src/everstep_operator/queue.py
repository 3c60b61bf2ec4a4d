"""The work queue: which jobs need a look, with the guarantees of client-go's rate-limited queue.

A key is queued once however often it is added; it is never worked on twice at a time; added while it is worked on, it
is worked on again afterwards; it can be added for later, and after errors ever later.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_RETRY_S = 0.05
"""The first wait after an error: most are conflicts, which a fresh look settles at once."""


class WorkQueue(Generic[Key]):
    """Keys that wait for a worker. Every method belongs to the event loop in which the queue is used."""

    def __init__(self, *, slowest_retry_s: float) -> None:
        self._slowest_retry_s = slowest_retry_s
        self._ready: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._active: set[Key] = set()
        self._errors: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._has_ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Have the key worked on, once, as soon as a worker is free and nobody works on it."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._active:
            self._ready.append(key)
            self._has_ready.set()

    def add_after(self, key: Key, delay_s: float) -> None:
        """Add the key after this time, unless it was to be added sooner anyway."""
        if delay_s <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        planned = self._timers.get(key)
        if planned is not None and planned.when() <= due:
            return
        if planned is not None:
            planned.cancel()
        self._timers[key] = loop.call_at(due, self._ring, key)

    def retry(self, key: Key) -> float:
        """Add the key after an error, twice as late as after the error before; return the seconds."""
        errors = self._errors.get(key, 0)
        self._errors[key] = errors + 1
        delay_s = min(FIRST_RETRY_S * 2.0 ** min(errors, 32), self._slowest_retry_s)
        self.add_after(key, delay_s)
        return delay_s

    def forget_errors(self, key: Key) -> None:
        """Begin anew with the waits after errors."""
        self._errors.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key, and hold it until `done`."""
        while not self._ready:
            self._has_ready.clear()
            await self._has_ready.wait()
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._active.add(key)
        return key

    def done(self, key: Key) -> None:
        """Let go of the key; if it was added meanwhile, it is ready again."""
        self._active.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._has_ready.set()

    def close(self) -> None:
        """Cancel what was to be added later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ring(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)
