"""A pod of this machine runs, is started again, and ends, as a kubelet would have it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everstep_operator.decide.facts import Pod
from everstep_operator.local import process as process_module
from everstep_operator.local.container import Container
from everstep_operator.local.process import PodProcess
from everstep_operator.local.volumes import Volumes

TERM_PROOF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
time.sleep(60)
"""


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what tells nobody when it happens: a file that grows, or the death of somebody else's child."""
    while not is_so():  # noqa: ASYNC110 - there is no event to await
        await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


class Stage:
    """A pod that runs a program, and the facts that it told."""

    def __init__(self, folder: Path, program: str, *, grace_s: float = 5.0) -> None:
        self.log = folder / "trainer.log"
        self.facts: list[Pod] = []
        self._changed = asyncio.Event()
        fact = Pod(name="p", uid="u", worker=0, phase="Pending", created=datetime.now(UTC))
        self.process = PodProcess(
            fact,
            Container(command=(sys.executable, "-c", program), environment={"WHERE": str(folder)}),
            volumes=Volumes(folder / "volumes"),
            log_path=self.log,
            grace_s=grace_s,
            changed=self._note,
        )

    def _note(self) -> None:
        self.facts.append(self.process.fact)
        self._changed.set()

    async def until(self, is_so: Callable[[Pod], bool]) -> None:
        while not is_so(self.process.fact):
            self._changed.clear()
            await self._changed.wait()

    async def until_logged(self, text: str) -> None:
        await until(lambda: text in self.log.read_text())


@pytest.fixture(autouse=True)
def _quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_FIRST_RESTART_S", 0.01)


def test_a_process_that_succeeds_is_done(tmp_path: Path) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, "print('hello')")
        await asyncio.wait_for(stage.process.run(), 20)
        assert [fact.phase for fact in stage.facts] == ["Running", "Succeeded"]
        assert stage.log.read_text() == "hello\n"

    asyncio.run(play())


def test_a_process_that_fails_is_started_again_and_its_ending_is_known(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; mark = pathlib.Path(os.environ['WHERE'], 'mark'); "
        "sys.exit(0 if mark.exists() else mark.touch() or 3)"
    )

    async def play() -> None:
        stage = Stage(tmp_path, program)
        await asyncio.wait_for(stage.process.run(), 20)
        assert stage.process.fact.restarts == 1
        assert stage.process.fact.last_ending is not None
        assert stage.process.fact.last_ending.exit_code == 3
        assert stage.process.fact.phase == "Succeeded"

    asyncio.run(play())


def test_a_killed_process_takes_its_children_with_it_and_has_the_signals_code(tmp_path: Path) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, PARENT)
        running = asyncio.create_task(stage.process.run())
        await stage.until(lambda fact: fact.phase == "Running")
        await stage.until_logged("child")
        child = int(stage.log.read_text().split()[1])
        assert stage.process.pid is not None
        os.kill(stage.process.pid, signal.SIGKILL)
        await stage.until(lambda fact: fact.restarts == 1)
        assert stage.process.fact.last_ending is not None
        assert stage.process.fact.last_ending.exit_code == 137
        await until(lambda: not lives(child))
        stage.process.end(0.0)
        await asyncio.wait_for(running, 20)

    asyncio.run(asyncio.wait_for(play(), 30))


def test_a_process_that_does_not_hear_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    async def play() -> None:
        stage = Stage(tmp_path, TERM_PROOF, grace_s=0.2)
        running = asyncio.create_task(stage.process.run())
        await stage.until(lambda fact: fact.phase == "Running")
        await stage.until_logged("up")
        stage.process.end()
        assert stage.process.fact.is_deleted
        await asyncio.wait_for(running, 20)
        assert stage.process.fact.phase == "Succeeded"

    asyncio.run(play())
