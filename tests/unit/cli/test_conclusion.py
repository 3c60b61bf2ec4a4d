"""The last words of a run say what was reached and what to type next; what they say to type works."""

import ast
from dataclasses import replace
from typing import Any

import pytest

from everstep_api.progress import Checkpoints, DurableCheckpoint, Result
from everstep_cli.conclusion import achieved, next_steps, resumable
from everstep_operator.decide.facts import Job, JobKey
from tests.builders import JobBuilder, a_job
from tests.unit.cli.statuses import NOON, a_running_job, evaluated


def ended(builder: JobBuilder, model: str) -> Job:
    status = a_running_job().model_copy(update={"output": Result(uri=model)})
    return Job(
        key=JobKey("default", "finetune"), uid="u-1", generation=1, version="9", spec=builder.spec, status=status
    )


def typed(job: Job) -> list[str]:
    """The lines that are there to be typed."""
    return [line.strip() for line in next_steps(job) if line.startswith("    ")]


@pytest.mark.parametrize(
    ("losses", "sentences"),
    [
        pytest.param(((9, "2.6"), (0, "3.1")), ["Held-out loss: 3.1 before training → 2.6 after step 9."], id="both"),
        pytest.param(((9, "2.6"), (5, "2.8")), ["Held-out loss: 2.8 after step 5 → 2.6 after step 9."], id="later"),
        pytest.param(((9, "2.6"),), ["Held-out loss: 2.6 after step 9."], id="one"),
    ],
)
def test_the_held_out_loss_is_told_from_first_to_last(losses: Any, sentences: list[str]) -> None:
    assert list(achieved(evaluated(*losses))) == sentences


def test_without_an_evaluation_nothing_is_told() -> None:
    assert list(achieved(a_running_job())) == []


def test_a_folder_is_loaded_as_it_lies_there_and_audited() -> None:
    job = a_job().setting("spec.storage.uri", "file:///bucket/runs/")
    *loading, audit = typed(ended(job, "file:///bucket/runs/default/finetune/u-1/model"))
    ast.parse("\n".join(loading))
    assert 'model = AutoModelForCausalLM.from_pretrained("/bucket/runs/default/finetune/u-1/model")' in loading
    assert len(loading) == 3
    assert audit == "everstep audit /bucket/runs/default/finetune/u-1"


def test_a_model_in_a_bucket_is_copied_first() -> None:
    copy, *loading, audit = typed(ended(a_job(), "s3://team/out"))
    assert copy == "aws s3 cp --recursive s3://team/out model"
    assert 'model = AutoModelForCausalLM.from_pretrained("model")' in loading
    assert audit == "everstep audit s3://team/runs/default/finetune/u-1"


def test_adapters_are_loaded_onto_the_model_that_they_were_trained_with() -> None:
    job = a_job().setting("spec.output", {"weights": "adapter"}).setting("spec.recipe.model.source", "file:///base")
    *loading, _ = typed(ended(job, "file:///out"))
    ast.parse("\n".join(loading))
    assert 'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("/base"), "/out")' in loading


def test_a_job_that_was_stopped_says_how_it_goes_on() -> None:
    durable = DurableCheckpoint(step=7, uri="file:///runs/ckpt/1-7", commit_time=NOON)
    status = a_running_job().model_copy(update={"checkpoints": Checkpoints(durable=durable)})
    stopped = replace(ended(a_job(), "file:///out"), status=status)
    where = "Stopped after step 7, which is in /runs/ckpt/1-7."
    assert resumable(stopped) == f"{where} The same command goes on from there."
    never = replace(stopped, spec=a_job().setting("spec.checkpoint.resumePolicy", "Never").spec)
    assert resumable(never) == f"{where} The same command begins anew, since checkpoint.resumePolicy is Never."
    begun = replace(stopped, status=a_running_job())
    assert resumable(begun) == "Stopped before the first checkpoint: the same command begins anew."
