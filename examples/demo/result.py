"""What the job has made: figures before and after, an answer before and after, and what to do next."""

import subprocess
import sys

from everstep_api.status import TrainingJobStatus
from examples.demo.cluster import PROJECT
from examples.demo.problem import DemoError
from examples.demo.stages import Stages
from examples.prepare.delivery import MODEL_FOLDER

_HELD_OUT = "data/docstrings-validation.jsonl"
_ANSWER_TIMEOUT_S = 300


def tell_figures(status: TrainingJobStatus, stages: Stages) -> None:
    """Say what the held-out loss was and is, and what the job outlived."""
    points = status.evaluation.history if status.evaluation else ()
    for point in sorted(points, key=lambda point: point.step):
        figures = ", ".join(f"{figure.name} {figure.value}" for figure in point.metrics)
        stages.say(f"held-out data after step {point.step}: {figures}")
    recoveries = status.recoveries.recent if status.recoveries else ()
    for recovery in recoveries:
        lost = "" if recovery.lost_steps is None else f", {recovery.lost_steps} steps were done again"
        stages.say(f"{recovery.cause} in world {recovery.world}{lost}")


def tell_answers(status: TrainingJobStatus, bucket: str) -> None:
    """Have plain `transformers` load both models from the bucket and answer one held-out prompt.

    Raises:
        DemoError: it cannot.
    """
    if status.output is None:
        raise DemoError("The job is complete, but its status names no model.", "make demo")
    command = [sys.executable, "-m", "examples.show", "--base", f"{bucket}/{MODEL_FOLDER}"]
    command += ["--tuned", status.output.uri, "--held-out", f"{bucket}/{_HELD_OUT}"]
    try:
        subprocess.run(command, check=True, cwd=PROJECT, timeout=_ANSWER_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"The model in {status.output.uri} gives no answer.", " ".join(command)) from error
