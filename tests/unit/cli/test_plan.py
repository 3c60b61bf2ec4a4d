"""What `everstep plan` says is what the job would do, and what it refuses is what the job would be refused for."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from everstep_cli.app import app
from everstep_cli.plan import Planned, make_plan, sample_of
from everstep_cli.report import origin_of, rendered, show
from everstep_trainer.data.formats import Document
from tests.builders import JobBuilder, a_job
from tests.unit.data.tokenizers_made_here import MARKED, a_tokenizer
from tests.unit.model.models_made_here import a_saved_model

QUESTION = "What is it?"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A chat model and 40 chats."""
    folder = tmp_path / "bucket"
    a_saved_model(folder / "model", vocab_size=259, max_position_embeddings=128)
    a_tokenizer(chat_template=MARKED).save_pretrained(folder / "model")
    chats = [
        [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": f"It is {number}."}]
        for number in range(40)
    ]
    (folder / "chats.jsonl").write_text("".join(f"{json.dumps({'messages': chat})}\n" for chat in chats))
    return folder


def a_job_of(bucket: Path) -> JobBuilder:
    return (
        a_job()
        .setting("spec.recipe.model", {"source": f"file://{bucket}/model", "lora": {"rank": 4}})
        .setting("spec.recipe.data.train", [{"source": f"file://{bucket}/chats.jsonl"}])
        .setting("spec.storage.uri", f"file://{bucket}/runs")
    )


def planned(builder: JobBuilder, cache: Path) -> Planned:
    return make_plan(builder.manifest, cache, lambda _sentence: None)


def printed(found: Planned) -> str:
    output = io.StringIO()
    show(found, Console(file=output, width=200))
    return output.getvalue()


def test_a_plan_says_steps_rows_and_weights_and_leaves_the_storage_alone(bucket: Path, tmp_path: Path) -> None:
    found = planned(a_job_of(bucket), tmp_path / "cache")
    text = printed(found)
    assert f"Steps: {found.plan.total_steps:,} of 2 rows, 1 at a time; 2 ranks can share a step." in text
    assert f"Rows: {found.plan.training.rows} of 128 tokens" in text
    assert "with adapters (LoRA)" in text
    assert f"of which {found.memory.trained:,} are trained" in text
    assert not (bucket / "runs").exists()
    assert not list((tmp_path / "cache").rglob("model.safetensors"))


def test_weights_are_counted_and_shared_among_the_ranks(bucket: Path, tmp_path: Path) -> None:
    full = a_job_of(bucket).without("spec.recipe.model.lora")
    saved = a_saved_model(tmp_path / "same", vocab_size=259, max_position_embeddings=128)
    count = sum(weight.numel() for weight in saved.parameters())

    alone = planned(full.workers(1), tmp_path / "cache").memory
    shared = planned(full.workers(2), tmp_path / "cache").memory
    whole = planned(full.workers(2).setting("spec.recipe.sharding", "none"), tmp_path / "cache").memory

    assert (alone.trained, alone.frozen) == (count, 0)
    assert alone.state_bytes == whole.state_bytes == 16 * count
    assert shared.state_bytes == 8 * count


def test_samples_are_the_models_own_view_with_what_it_learns_marked(bucket: Path, tmp_path: Path) -> None:
    text = printed(planned(a_job_of(bucket), tmp_path / "cache"))
    assert text.count("<|im_start|>user\nWhat is it?<|im_end|><|im_start|>assistant\n⟦It is ") == 3
    assert ".<|im_end|>⟧" in text


def test_a_terminal_marks_what_is_learnt_by_colour() -> None:
    text = rendered([("asked ", False), ("told", True)], in_colour=True)
    assert (text.plain, [(span.start, span.end, span.style) for span in text.spans]) == (
        "asked told",
        [(6, 10, "green")],
    )
    assert rendered([("asked ", False), ("told", True)], in_colour=False).plain == "asked ⟦told⟧"


def test_a_long_document_is_cut_off() -> None:
    assert rendered([("x" * 5000, False)], in_colour=False).plain == f"{'x' * 1199}x …"


def test_pieces_of_a_sample_follow_the_mask() -> None:
    tokenizer = a_tokenizer()
    tokens: list[int] = tokenizer("abcd")["input_ids"]
    document = Document(tokens=np.array(tokens), has_loss=np.array([False, True, True, False]))
    assert sample_of(document, tokenizer) == [("a", False), ("bc", True), ("d", False)]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        pytest.param(("recipe", "seed"), "job", id="the job says it"),
        pytest.param(("recipe", "precision"), "default", id="nobody says it"),
        pytest.param(("recipe", "data", "lossOn"), "derived", id="it follows from the data"),
        pytest.param(("recipe", "batch", "microSize"), "derived", id="auto"),
        pytest.param(("recipe", "data", "train", 0, "format"), "derived", id="in a list"),
    ],
)
def test_each_value_has_its_origin(path: Any, where: str, bucket: Path, tmp_path: Path) -> None:
    found = planned(a_job_of(bucket).setting("spec.recipe.seed", 7), tmp_path / "cache")
    assert origin_of(found.job["spec"], found.spec.manifest(), path) == where


def test_what_the_trainer_would_refuse_ends_with_2_and_its_sentence(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bucket / "chats.jsonl").write_text('{"messages": [{"role": "user"}]}\n')
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps(a_job_of(bucket).manifest))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    result = CliRunner().invoke(app, ["plan", str(file)])

    assert result.exit_code == 2
    assert f"Line 1 of file://{bucket}/chats.jsonl has null as content of messages[0]" in result.stderr


def test_a_plan_is_printed_by_the_command(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps(a_job_of(bucket).manifest))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    result = CliRunner().invoke(app, ["plan", str(file), "--steps", "3"])

    assert result.exit_code == 0, result.output
    assert "Steps: 3 of 2 rows" in result.stdout
    assert "spec.recipe.duration.steps" in result.stdout
