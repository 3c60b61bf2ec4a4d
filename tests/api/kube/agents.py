"""An agent that speaks the sync API by the agent's own code, and pretends to train."""

import asyncio
from dataclasses import replace

import aiohttp

from everstep_agent.settings import Settings
from everstep_agent.sync import Sync
from everstep_api.wire.sync import (
    PROTOCOL,
    AgentState,
    Directive,
    Finish,
    Pause,
    Phase,
    Progress,
    Report,
    Run,
    Stop,
    Wait,
)

STEPS = 40
MODEL = "s3://team/runs/model"


class PretendingAgent:
    """Reports `ready`, enters the world that it is told of, makes its steps, and holds `done` until `finish`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._report = Report(
            protocol=PROTOCOL,
            boot_id="first",
            worker=settings.worker,
            address=f"{settings.pod_ip}:{settings.port}",
            node=settings.node,
            state=AgentState.READY,
            ranks=1,
        )
        self.heard: list[str] = []
        """The actions of its directives."""
        self.worlds: list[int] = []
        self._ended = asyncio.Event()

    async def live(self, *, timeout_s: float) -> None:
        """Work until it is told to end.

        Raises:
            TimeoutError: it was not, within this time.
        """
        async with aiohttp.ClientSession() as session:
            sync = Sync(self._settings, session, report=lambda: self._report, hear=self._hear)
            tasks = [asyncio.create_task(work) for work in (sync.report_for_ever(), sync.listen_for_ever())]
            try:
                async with asyncio.timeout(timeout_s):
                    while not self._ended.is_set():
                        self._step()
                        sync.look()
                        await asyncio.sleep(0.1)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, directive: Directive) -> None:
        self.heard.append(directive.action.kind)
        match directive.action:
            case Run(world=world):
                if world != self._report.world:
                    self.worlds.append(world)
                    self._report = replace(
                        self._report, state=AgentState.TRAINING, world=world, phase=Phase.TRAIN, progress=_step(0)
                    )
            case Wait():
                self._report = replace(self._report, state=AgentState.READY)
            case Pause():
                self._report = replace(self._report, state=AgentState.READY)
            case Finish() | Stop():
                self._ended.set()

    def _step(self) -> None:
        progress = self._report.progress
        if self._report.state is not AgentState.TRAINING or progress is None:
            return
        if progress.step < STEPS:
            self._report = replace(self._report, progress=_step(progress.step + 1))
        else:
            self._report = replace(self._report, state=AgentState.DONE, output=MODEL)


def _step(step: int) -> Progress:
    return Progress(step=step, total_steps=STEPS, loss=2.0, tokens_per_second=100.0, step_seconds=0.1)
