"""Processes that outlive the command which started them, found again by a mark in their environment.

There are no pid files: a file can name a process that is gone, or one that took its number. The mark is in the kernel
as long as the process is, so whatever was killed in the middle, the next command sees what really runs.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from devcluster.problem import DevclusterError

_MARK = "DEVCLUSTER_PROCESS"
_END_TIMEOUT_S = 30.0

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
"""What a process of a cluster sees of ours: enough to find programs, nothing that differs from shell to shell."""


def spawn(
    command: Sequence[str | Path],
    *,
    mark: str,
    log: Path,
    namespace: str | None = None,
) -> int:
    """Start `command` in a session of its own, its output appended to `log`; return its process id.

    Args:
        command: program and arguments.
        mark: what `find` and `end` know it by; its children inherit it.
        log: the file that takes what it prints.
        namespace: the network namespace that it runs in; absent: this machine's.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    enter = ["nsenter", f"--net=/run/netns/{namespace}", "--"] if namespace else []
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*enter, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**ENVIRONMENT, _MARK: mark},
        )
    # Nobody waits for it: when this command ends, process 1 inherits it.
    process.returncode = 0
    return process.pid


def find(mark: str) -> list[int]:
    """Return the ids of living processes that carry exactly `mark`, oldest first."""
    return sorted(pid for pid, found in _marked() if found == mark)


def find_below(prefix: str) -> list[int]:
    """Return the ids of living processes whose mark starts with `prefix`."""
    return sorted(pid for pid, found in _marked() if found.startswith(prefix))


def is_running(mark: str) -> bool:
    """Whether the very process that `spawn` started under `mark` lives; its children may outlive it."""
    for pid in find(mark):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == pid:
                return True
    return False


def is_first_of_namespace(pid: int) -> bool:
    """Whether the process is process 1 of a process namespace below ours."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
    return len(numbers) > 1 and numbers[-1] == "1"


def end(pids: Sequence[int]) -> None:
    """Kill the processes and return once the kernel has taken all of them down, with the namespaces they owned.

    Raises:
        DevclusterError: one is still there after 30 s, as when it hangs in the kernel.
    """
    handles = {}
    for pid in pids:
        try:
            handles[pid] = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
    try:
        for handle in handles.values():
            try:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _await_end(handles)
    finally:
        for handle in handles.values():
            os.close(handle)


def _await_end(handles: Mapping[int, int]) -> None:
    poll = select.poll()
    waiting = {handle: pid for pid, handle in handles.items()}
    for handle in waiting:
        poll.register(handle, select.POLLIN)
    deadline = time.monotonic() + _END_TIMEOUT_S
    while waiting:
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            pids = ", ".join(str(pid) for pid in waiting.values())
            raise DevclusterError(f"Process {pids} does not end after {_END_TIMEOUT_S:.0f} s; see its /proc/PID/stack.")
        for handle, _ in ready:
            poll.unregister(handle)
            with contextlib.suppress(ChildProcessError):  # it is ours only if this very command started it
                os.waitpid(waiting[handle], os.WNOHANG)
            del waiting[handle]


def _marked() -> Iterator[tuple[int, str]]:
    wanted = f"{_MARK}=".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for item in environment.split(b"\0"):
            if item.startswith(wanted):
                yield int(entry.name), item[len(wanted) :].decode(errors="replace")
