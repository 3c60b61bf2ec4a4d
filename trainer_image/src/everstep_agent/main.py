"""The first process of a worker, from its start to its exit code."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import aiohttp

from everstep_agent import fork_server, settings
from everstep_agent.agent import Agent
from everstep_agent.lines import listen
from everstep_agent.server import Server
from everstep_agent.settings import Settings, SettingsError
from everstep_agent.snapshot_server import SnapshotServer
from everstep_agent.sync import GoneError, NoAnswerError

_log = logging.getLogger(__name__)

_WRONG_SETTINGS = 2


def main(environment: Mapping[str, str] = os.environ, command: Sequence[str] = fork_server.COMMAND) -> int:
    """Be the agent of a worker; return the exit code: 0 at the end, 1 for another start, 2 for a wrong environment."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        told = settings.read(environment)
    except SettingsError as error:
        _log.error("%s", error)
        return _WRONG_SETTINGS
    return asyncio.run(live(told, devices=settings.count_devices(environment), command=command))


async def live(settings: Settings, *, devices: int, command: Sequence[str]) -> int:
    """Be an agent until it shall exit; return the code.

    Everything that lives as long as the agent is in this one task group, so nothing can fail unseen: what no part
    expects ends the process, and the container starts again.
    """
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        agent = Agent(settings, command=command, devices=devices, session=session, group=group)
        snapshots = SnapshotServer(
            shelf=agent.holding.shelf, admission=agent.holding.admission, address=lambda: agent.address
        )
        server = Server(
            metrics=agent.render_metrics, unreadiness=agent.unreadiness, worlds=agent.worlds, snapshots=snapshots
        )
        agent.port = await server.open(settings.pod_ip, settings.port)
        lines = await listen(settings.socket, agent.processes.greet)
        _heed_signals(agent)
        calls = [
            group.create_task(agent.sync.report_for_ever(), name="report"),
            group.create_task(agent.sync.listen_for_ever(), name="listen"),
        ]
        try:
            code = await agent.exit
            await _report_last(agent)
        finally:
            agent.close()
            for call in calls:
                call.cancel()
            lines.close()
            await server.close()
    return code


async def _report_last(agent: Agent) -> None:
    try:
        await agent.sync.report_once()
    except GoneError:
        return  # as it said before: nobody waits for this report
    except NoAnswerError as error:
        _log.warning("The last report was not taken, and the pod's end has to tell it: error=%s", error)


def _heed_signals(agent: Agent) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.begin_grace)
    loop.add_signal_handler(signal.SIGCHLD, _reap, agent)


def _reap(agent: Agent) -> None:
    """Take up the ends of all children: a process whose parent died is a child of process 1."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        agent.processes.reaped(pid, os.waitstatus_to_exitcode(status))
