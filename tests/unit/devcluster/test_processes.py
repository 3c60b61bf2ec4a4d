"""Processes are found by their mark alone, and ended for good."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import processes
from devcluster.waiting import wait_until


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark that nobody else has; what carries it is gone after the test."""
    name = f"test-{uuid.uuid4()}"
    yield f"{name}/program"
    processes.end(processes.find_below(name))


def test_a_spawned_process_is_found_by_its_mark_and_writes_into_its_log(mark: str, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "program.log"
    pid = processes.spawn(["sh", "-c", "echo hello; exec sleep 60"], mark=mark, log=log)
    wait_until(lambda: log.read_text() == "hello\n", timeout_s=10, failure="nothing in the log")
    # In the middle of an exec the kernel shows no environment.
    wait_until(lambda: processes.find(mark) == [pid], timeout_s=10, failure="it cannot be found")


def test_a_process_outlives_the_command_that_started_it(mark: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from devcluster import processes; "
        "processes.spawn(['sleep', '60'], mark=sys.argv[1], log=Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", program, mark, tmp_path / "log"], check=True, timeout=30)
    (pid,) = processes.find(mark)
    assert os.getsid(pid) == pid


def test_children_carry_the_mark_and_end_with_their_parent(mark: str, tmp_path: Path) -> None:
    pid = processes.spawn(["sh", "-c", "sleep 60 & sleep 60 & wait"], mark=mark, log=tmp_path / "log")
    wait_until(lambda: len(processes.find(mark)) == 3, timeout_s=10, failure="the children never came")
    processes.end(processes.find(mark))
    assert processes.find(mark) == []
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_that_ignores_signals_is_ended_all_the_same(mark: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes.spawn(["sh", "-c", "trap '' TERM INT; echo deaf; while :; do sleep 60; done"], mark=mark, log=log)
    wait_until(lambda: log.exists() and log.read_text() == "deaf\n", timeout_s=10, failure="it never got deaf")
    started = time.monotonic()
    processes.end(processes.find(mark))
    assert processes.find_below(mark) == []
    assert time.monotonic() - started < 10


def test_ending_what_is_gone_already_is_no_error(mark: str, tmp_path: Path) -> None:
    pid = processes.spawn(["sleep", "60"], mark=mark, log=tmp_path / "log")
    processes.end([pid])
    processes.end([pid])


def test_a_process_whose_children_outlive_it_runs_no_longer(mark: str, tmp_path: Path) -> None:
    """As containerd's shims do: what must be started again is not what they are."""
    pid = processes.spawn(["sh", "-c", "sleep 60 & wait"], mark=mark, log=tmp_path / "log")
    wait_until(lambda: len(processes.find(mark)) == 2, timeout_s=10, failure="the child never came")
    assert processes.is_running(mark)
    processes.end([pid])
    assert len(processes.find(mark)) == 1
    assert not processes.is_running(mark)


def test_marks_are_whole_words(mark: str, tmp_path: Path) -> None:
    processes.spawn(["sleep", "60"], mark=f"{mark}-2", log=tmp_path / "log")
    assert processes.find(mark) == []
    assert len(processes.find_below(mark)) == 1


def test_no_process_of_this_namespace_is_taken_for_the_first_of_another() -> None:
    assert not processes.is_first_of_namespace(os.getpid())
    assert not processes.is_first_of_namespace(0)
