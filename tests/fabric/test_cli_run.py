"""`everstep run` as a person has it: a program that is started, watched and stopped."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from everstep_trainer.data.audit import audit
from everstep_trainer.objects import Store
from tests.builders import JobBuilder
from tests.fabric.job import PATIENCE_S, a_small_job


@contextmanager
def everstep(builder: JobBuilder, folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """The program while it runs the job; it is ended with the context at the latest."""
    file = folder / "job.yaml"
    file.write_text(json.dumps(builder.manifest))
    command = [sys.executable, "-m", "everstep_cli", "run", str(file), "--home", str(folder / "home"), *options]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def until(program: "subprocess.Popen[str]", beginning: str) -> str:
    """Read what the program says up to a line that begins so; the job's own deadline bounds the wait."""
    assert program.stdout is not None
    said = []
    for line in program.stdout:
        said.append(line)
        if line.startswith(beginning):
            return line
    raise AssertionError("".join(said))


def test_ctrl_c_stops_a_run_after_a_checkpoint_and_the_same_command_goes_on(bucket: Path, tmp_path: Path) -> None:
    job = a_small_job(bucket, workers=1, steps=100_000).named("stopped").setting("spec.checkpoint.everySteps", 10_000)
    job = job.setting("spec.activeDeadlineSeconds", int(PATIENCE_S)).without("spec.checkpoint.resumePolicy")
    with everstep(job, tmp_path) as program:
        until(program, "Running: step")
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=PATIENCE_S)

    assert program.returncode == 130, said
    [run] = (bucket / "runs" / "default" / "stopped").iterdir()
    [checkpoint] = (run / "ckpt").iterdir()
    step = int(checkpoint.name.rpartition("-")[2])
    last = said.splitlines()[-1]
    assert last == f"Stopped after step {step}, which is in {checkpoint}. The same command goes on from there."
    found = audit(Store.at(f"file://{run}"))
    assert (found.is_exact, found.steps) == (True, step)

    with everstep(job, tmp_path) as program:
        line = until(program, "Running: step")
    assert int(line.removeprefix("Running: step ").partition("/")[0]) > step


def test_a_second_ctrl_c_ends_a_run_at_once(bucket: Path, tmp_path: Path) -> None:
    """Also where the first one waits in vain: for the checkpoint of a worker that stands still."""
    job = a_small_job(bucket, workers=1, steps=100_000).setting("spec.activeDeadlineSeconds", int(PATIENCE_S))
    with everstep(job.named("ended"), tmp_path) as program:
        until(program, "Running: step")
        [agent] = [int(pid) for pid in Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()]
        os.kill(agent, signal.SIGSTOP)
        program.send_signal(signal.SIGINT)
        until(program, "Stopping after a checkpoint")
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=PATIENCE_S)
    assert program.returncode == 130, said
    assert said.splitlines()[-2:] == [
        "Ended at once. What is in the storage stays.",
        "The same command begins anew, since checkpoint.resumePolicy is Never.",
    ]


def test_a_trial_of_a_job_ends_with_a_model_that_its_last_words_load(bucket: Path, tmp_path: Path) -> None:
    job = a_small_job(bucket, workers=1, steps=9).named("tried").setting("spec.ttlSecondsAfterFinished", 0)
    with everstep(job, tmp_path, "--tiny", "--steps", "4") as program:
        said, _ = program.communicate(timeout=PATIENCE_S)

    assert program.returncode == 0, said
    [run] = (bucket / "runs" / "default" / "tried-tiny").iterdir()
    assert "Trained 4 steps" in said
    assert f"    everstep audit {run}" in said.splitlines()
    [loading] = [line.strip() for line in said.splitlines() if line.strip().startswith("model = ")]
    assert loading == f'model = AutoModelForCausalLM.from_pretrained("{run}/model")'
    assert AutoModelForCausalLM.from_pretrained(run / "model").config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(run / "model")
