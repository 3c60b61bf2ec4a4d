"""The same job without a cluster: `everstep run`, which has its own display and its own last words."""

import subprocess
import sys
from pathlib import Path

from examples.demo.cluster import PROJECT
from examples.demo.problem import DemoError
from examples.demo.training import EXAMPLE


def run_without_cluster() -> None:
    """Run the example by processes of this machine.

    Raises:
        DemoError: it failed; why stands above.
    """
    command = [str(Path(sys.executable).with_name("everstep")), "run", EXAMPLE, "--workers", "2"]
    done = subprocess.run(command, cwd=PROJECT, check=False)
    if done.returncode != 0:
        raise DemoError("The job did not come to its end.", " ".join([*command, "--help"]))
