"""An event loop that ends with nothing open."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Run the work in a loop of its own; cut every connection that is still open then.

    A connection over TLS ends when the other side has said so, too. A client that was cancelled in the middle of a
    watch does not wait for that, and the loop would end before it.
    """

    async def run() -> T:
        try:
            return await work
        finally:
            open_transports: dict[int, asyncio.Transport] = asyncio.get_running_loop()._transports  # type: ignore[attr-defined]  # noqa: SLF001 - the loop names them nowhere else
            for transport in list(open_transports.values()):
                transport.abort()
            await asyncio.sleep(0)  # each is closed in the next turn of the loop

    return asyncio.run(run())
