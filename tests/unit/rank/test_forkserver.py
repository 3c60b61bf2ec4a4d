"""The fork server makes warm ranks, tells how they end, and begins only where children cannot hang."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from everstep_trainer.report import EXIT_WITHOUT_AGENT
from tests.unit.rank.agents import TIMEOUT_S, Agent, a_warm_rank


def test_a_killed_rank_is_told_with_its_signal(agent: Agent) -> None:
    pid, rank = a_warm_rank(agent)

    os.kill(pid, signal.SIGKILL)

    assert agent.exit_of(pid).signal == signal.SIGKILL
    assert rank.hear() is None


def test_a_rank_ends_when_its_agent_hangs_up(agent: Agent) -> None:
    pid, rank = a_warm_rank(agent)

    rank.hang_up()

    assert agent.exit_of(pid).exit_code == EXIT_WITHOUT_AGENT


def test_several_spares_are_warm_at_a_time(agent: Agent) -> None:
    spares = [a_warm_rank(agent, slot) for slot in range(3)]

    assert len({pid for pid, _ in spares}) == 3
    for pid, rank in spares:
        rank.hang_up()
        assert agent.exit_of(pid).exit_code == EXIT_WITHOUT_AGENT


def test_a_second_thread_is_refused(tmp_path: Path) -> None:
    program = (
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start();"
        "from everstep_trainer.forkserver import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"EVERSTEP_SOCKET": str(tmp_path / "none"), "EVERSTEP_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert ended.returncode == 1
    assert "The fork server has 2 threads after its imports" in ended.stderr
