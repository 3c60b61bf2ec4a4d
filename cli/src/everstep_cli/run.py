"""`everstep run`: one job on this machine, from its file to its model."""

import asyncio
import fcntl
import importlib.util
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from everstep_api.conditions import MEANINGS, ConditionType, Reason
from everstep_api.resource import Manifest
from everstep_api.wire.sync import Progress
from everstep_cli.conclusion import achieved, next_steps, onward, resumable
from everstep_cli.display import Display
from everstep_cli.job_options import JobError
from everstep_cli.view import View
from everstep_operator.decide.decision import Event
from everstep_operator.decide.facts import Job, JobKey
from everstep_operator.local.plane import LocalPlane, local_plane

_GLANCE_S = 0.25
"""How often the display is brought up to date."""

_LAST_LINES = 20
_ENDINGS = {ConditionType.COMPLETE, ConditionType.FAILED}
INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""


def run_job(job: Manifest, home: Path, console: Console) -> int:
    """Run the job to its end, showing how far it is; return the exit code.

    Raises:
        JobError: this machine cannot train, or a job of this name runs already.
    """
    if importlib.util.find_spec("torch") is None:
        raise JobError("The workers need torch, which is not installed here; install everstep[cli,trainer].")
    with _alone(home, job["metadata"]):
        return asyncio.run(_run(_for_this_machine(job), home, console))


def _for_this_machine(job: Manifest) -> Manifest:
    """The job as one that runs now and stays to be looked at: nobody here would resume it, or read it in time."""
    left_out = {"suspend", "ttlSecondsAfterFinished"}
    return {**job, "spec": {name: value for name, value in job["spec"].items() if name not in left_out}}


async def _run(job: Manifest, home: Path, console: Console) -> int:
    interrupt = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt.set)
    with Display(console) as display:

        def tell(_: Job, event: Event) -> None:
            if isinstance(event.reason, Reason) and MEANINGS[event.reason][0] in _ENDINGS:
                return  # said when the workers have ended, as the last word
            display.say(f"{event.reason}: {event.message}", style="yellow" if event.type == "Warning" else "")

        async with local_plane(home, tell=tell) as plane:
            key = await plane.submit(job)
            watching = asyncio.create_task(_watch(plane, key, display))
            try:
                is_over = await _reached(plane.ended(key), interrupt) or await _stopped(plane, key, display, interrupt)
            finally:
                watching.cancel()
                await asyncio.wait([watching])
            found = await plane.cluster.read_job(key)
            logs = plane.cluster.log_paths(key)
        # The last word is said when nothing else can happen any more.
        if found is not None and is_over:
            return _conclude(found, logs, display)
        display.say("Ended at once. What is in the storage stays.", style="yellow")
        if found is not None:
            display.say(onward(found), style="yellow")
        return INTERRUPTED


async def _stopped(plane: LocalPlane, key: JobKey, display: Display, interrupt: asyncio.Event) -> bool:
    """Suspend the job, as an interrupt wants it; True if it stands still with all its work durable, or has ended."""
    interrupt.clear()
    display.say("Stopping after a checkpoint in the storage. Ctrl-C again ends at once.", style="yellow")
    job = await plane.cluster.read_job(key)
    if job is not None:
        await plane.cluster.change_spec(key, {**job.spec, "suspend": True})
    return await _reached(
        plane.wait(key, lambda status: bool(status.endings) or status.phase == "Suspended"), interrupt
    )


async def _reached(goal: Coroutine[Any, Any, object], interrupt: asyncio.Event) -> bool:
    """Wait for the goal; False if an interrupt came first."""
    reaching, interrupting = asyncio.create_task(goal), asyncio.create_task(interrupt.wait())
    try:
        await asyncio.wait([reaching, interrupting], return_when=asyncio.FIRST_COMPLETED)
        if reaching.done():
            reaching.result()  # raises what hindered it
        return reaching.done()
    finally:
        reaching.cancel()
        interrupting.cancel()
        await asyncio.wait([reaching, interrupting])


async def _watch(plane: LocalPlane, key: JobKey, display: Display) -> None:
    while True:
        agents = await plane.agents(key)
        told = [agent.report.progress for agent in agents.values() if agent.report.progress is not None]
        phases = {agent.report.phase for agent in agents.values()}
        display.show(
            View(
                status=await plane.status(key),
                told=max(told, key=_freshness, default=None),
                doing=phases.pop() if len(phases) == 1 else None,
            )
        )
        await asyncio.sleep(_GLANCE_S)


def _freshness(told: Progress) -> tuple[bool, int]:
    """The first rank of the world alone tells the loss."""
    return told.loss is not None, told.step


def _conclude(job: Job, logs: list[Path], display: Display) -> int:
    """Say how the job ended and what is next: with its model, or where to look for what went wrong."""
    if not job.status.endings:
        display.say(resumable(job), style="yellow")
        return INTERRUPTED
    ending = job.status.endings[0]
    if ending.type == ConditionType.COMPLETE:
        display.say(ending.message, style="green")
        for sentence in achieved(job.status):
            display.say(sentence, style="green")
        for line in next_steps(job):
            display.say(line)
        return 0
    if ending.reason != Reason.RECIPE_REFUSED:  # whose sentence says all that the logs could
        for log in logs:
            display.say(f"The last lines of {log}:", style="bold")
            for line in log.read_text(errors="replace").splitlines()[-_LAST_LINES:]:
                display.say(f"  {line}")
    display.say(f"{ending.reason}: {ending.message}", style="red")
    return 1


@contextmanager
def _alone(home: Path, metadata: Manifest) -> Iterator[None]:
    """Hold the job's name as long as it runs; two runs of one name would share a file."""
    folder = home / metadata.get("namespace", "default") / metadata["name"]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JobError(
                f"A job named {metadata['name']} runs already on this machine; end it, or use another name."
            ) from error
        yield
