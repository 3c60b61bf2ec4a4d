"""The pace of our calls: a bucket of tokens, so that a thousand pods at once do not push everybody else aside."""

import asyncio


class Bucket:
    """Lets calls through as they come until `burst` of them are spent, and `per_s` a second from then on."""

    def __init__(self, *, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._counted: float | None = None

    async def take(self) -> None:
        """Wait for this call's turn; turns are given in the order in which they were asked for."""
        now = asyncio.get_running_loop().time()
        elapsed_s = 0.0 if self._counted is None else now - self._counted
        self._tokens = min(self._burst, self._tokens + elapsed_s * self._per_s) - 1.0
        self._counted = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._per_s)
