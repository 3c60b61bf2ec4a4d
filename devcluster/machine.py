"""The first process of a node, inside the node's own namespaces: makes it look like a machine, then reaps its orphans.

Started by `node.py` as a plain script, with nothing but the standard library, since what it mounts hides other paths.
Everything that it mounts ends with its mount namespace, and everything that runs in the node ends with this process.
"""

import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

READY = Path("/run/machine-is-ready")

TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What the kubelet wants of the kernel. They are not private to a namespace, so it reads files that say yes already."""


BOOT_ID = "kernel/random/boot_id"
"""By a new one the kubelet knows that its machine was rebooted, and says so in the node's status."""


def make_machine(folder: Path, name: str) -> None:
    """Give the node its own /run, logs, resolver, host name and stand-ins for machine-wide tunables."""
    mount("--make-rshared", "/")
    mount("-t", "tmpfs", "tmpfs", "/run")
    Path("/var/lib/cni").mkdir(parents=True, exist_ok=True)
    # In memory: the addresses of pods that died with the machine are free again after its next boot.
    mount("-t", "tmpfs", "tmpfs", "/var/lib/cni")
    mount("--bind", folder / "var-log", "/var/log")
    mount("--bind", folder / "resolv.conf", "/etc/resolv.conf")
    socket.sethostname(name)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # Or the refusal of a Service that has no pods reaches a peer up to a second late.
    Path("/proc/sys/net/ipv4/icmp_ratelimit").write_text("0")
    for tunable, value in (*TUNABLES.items(), (BOOT_ID, str(uuid.uuid4()))):
        cover_tunable(Path("/proc/sys", tunable), value)
    READY.touch()


def cover_tunable(tunable: Path, value: str) -> None:
    """Let whoever reads `tunable` find `value`, and whoever writes it write nowhere."""
    if tunable.exists():
        stand_in = Path("/run", tunable.name)
        stand_in.write_text(f"{value}\n")
        mount("--bind", stand_in, tunable)


def mount(*arguments: str | Path) -> None:
    """Run mount(8)."""
    subprocess.run(["mount", *arguments], check=True, timeout=20)


def reap_orphans() -> None:
    """Reap for ever, as process 1 has to."""
    while True:
        signal.sigwait({signal.SIGCHLD})
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            continue


def main() -> None:
    """Become the node whose disk is the folder named first, under the host name named second."""
    # Blocked before the first child, so that no end of one is missed between two waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    make_machine(Path(sys.argv[1]), sys.argv[2])
    reap_orphans()


if __name__ == "__main__":
    main()
