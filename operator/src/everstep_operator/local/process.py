"""One pod of this machine: its process is started, started again after an error, and ended with its grace period."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from everstep_operator.decide.facts import Ending, Pod
from everstep_operator.local.container import Container
from everstep_operator.local.volumes import Volumes

log = logging.getLogger(__name__)

_FIRST_RESTART_S = 1.0
_SLOWEST_RESTART_S = 60.0
"""Kubelets wait 10 s to 5 min; on one machine, somebody looks on."""

_LASTED_S = 60.0
"""A process that ran for so long is not one that cannot start, so waits begin anew."""


class PodProcess:
    """Keeps the process of a pod running from `run` until it succeeds or is to end."""

    def __init__(
        self,
        fact: Pod,
        container: Container,
        *,
        volumes: Volumes,
        log_path: Path,
        grace_s: float,
        changed: Callable[[], None],
    ) -> None:
        self.fact = fact
        self.volumes = volumes
        self._container = container
        self._log_path = log_path
        self._grace_s = grace_s
        self._changed = changed
        self._is_to_end = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the agent, for tests that injure it."""
        return self._process.pid if self._process is not None else None

    def end(self, grace_s: float | None = None) -> None:
        """Begin the end: SIGTERM now, SIGKILL after the grace period."""
        if grace_s is not None:
            self._grace_s = grace_s
        if not self._is_to_end.is_set():
            self._is_to_end.set()
            self._tell(is_deleted=True)

    async def run(self) -> None:
        """Run until the process succeeds, or is to end and has ended."""
        wait_s, loop = _FIRST_RESTART_S, asyncio.get_running_loop()
        while not self._is_to_end.is_set():
            begun = loop.time()
            code = await self._run_once()
            if self._is_to_end.is_set() or code == 0:
                break
            ending = Ending(exit_code=code, reason="Error")
            self._tell(started=None, restarts=self.fact.restarts + 1, last_ending=ending)
            wait_s = _FIRST_RESTART_S if loop.time() - begun > _LASTED_S else wait_s
            log.warning(
                "worker ended with code %d and is started again in %.0f s", code, wait_s, extra={"pod": self.fact.name}
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_to_end.wait(), wait_s)
            wait_s = min(2 * wait_s, _SLOWEST_RESTART_S)
        self._tell(phase="Succeeded", started=None)

    async def _run_once(self) -> int:
        """Run one process to its end; return its exit code, which is 128 + n after signal n."""
        with self._log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._container.command,
                env=self._container.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # what its children become ends with it
            )
        self._tell(phase="Running", started=datetime.now(UTC))
        ending = asyncio.create_task(self._end_when_told(self._process))
        try:
            code = await self._process.wait()
        finally:
            ending.cancel()
            # With process 1 of a container, the kernel ends all others.
            _signal(self._process.pid, signal.SIGKILL, is_group=True)
        return code if code >= 0 else 128 - code

    async def _end_when_told(self, process: asyncio.subprocess.Process) -> None:
        await self._is_to_end.wait()
        _signal(process.pid, signal.SIGTERM)
        await asyncio.sleep(self._grace_s)
        _signal(process.pid, signal.SIGKILL, is_group=True)

    def _tell(self, **facts: Any) -> None:
        self.fact = replace(self.fact, **facts)
        self._changed()


def _signal(pid: int, number: signal.Signals, *, is_group: bool = False) -> None:
    with suppress(ProcessLookupError):
        if is_group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
