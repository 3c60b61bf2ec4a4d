"""The same job without a cluster: `everstep run`, which has its own display and its own last words."""

import signal
import subprocess
import sys
from pathlib import Path

from everstep_cli.run import INTERRUPTED
from examples.demo.cluster import PROJECT
from examples.demo.problem import DemoError
from examples.demo.training import EXAMPLE


def run_without_cluster() -> None:
    """Run the example by processes of this machine. Ctrl-C is for `everstep run`, which stops after a checkpoint.

    Raises:
        DemoError: it failed; why stands above.
    """
    command = [str(Path(sys.executable).with_name("everstep")), "run", EXAMPLE, "--workers", "2"]
    before = signal.signal(signal.SIGINT, lambda *_: None)  # ignored, the child would ignore it as well
    try:
        with subprocess.Popen(command, cwd=PROJECT) as run:
            code = run.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if code not in {0, INTERRUPTED}:
        more = [command[0], "--verbose", *command[1:]]
        raise DemoError("The job did not come to its end.", " ".join(more))
