"""What the job has made: an answer before and after."""

import subprocess
import sys

from everstep_api.status import TrainingJobStatus
from examples.demo.cluster import PROJECT
from examples.demo.problem import DemoError
from examples.prepare.delivery import MODEL_FOLDER

_HELD_OUT = "data/docstrings-validation.jsonl"
_QUESTION = 1
"""A short function, on which the model chats before its training."""
_ANSWER_TIMEOUT_S = 300


def tell_answers(status: TrainingJobStatus, bucket: str, *, more: str) -> None:
    """Have plain `transformers` load both models from the bucket and answer one held-out prompt.

    Raises:
        DemoError: it cannot.
    """
    if status.output is None:
        raise DemoError("The job is complete, but its status names no model.", more)
    command = [sys.executable, "-m", "examples.show", "--base", f"{bucket}/{MODEL_FOLDER}"]
    command += ["--tuned", status.output.uri, "--held-out", f"{bucket}/{_HELD_OUT}", f"--index={_QUESTION}"]
    try:
        subprocess.run(command, check=True, cwd=PROJECT, timeout=_ANSWER_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"The model in {status.output.uri} gives no answer; why stands above.", more) from error
