"""What cannot be done as it is written ends the rank with a sentence that says what to change."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig

from everstep_api.wire.ranks import Refused
from everstep_trainer.cache import write_whole
from everstep_trainer.errors import RefusedError
from everstep_trainer.model.source import fetch, resolve
from tests.unit.rank.agents import Agent, a_warm_rank, an_enter
from tests.unit.rank.jobs import a_spec

Fault = Callable[[Path, dict[str, Any]], None]


def _empty_file(folder: Path, _spec: dict[str, Any]) -> None:
    (folder / "text.jsonl").write_text("")


def _missing_file(folder: Path, _spec: dict[str, Any]) -> None:
    (folder / "text.jsonl").unlink()


def _malformed_line(folder: Path, _spec: dict[str, Any]) -> None:
    (folder / "text.jsonl").write_text('{"text": "one"}\nno record\n')


def _no_template(folder: Path, _spec: dict[str, Any]) -> None:
    chat = {"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "a!"}]}
    (folder / "text.jsonl").write_text(f"{json.dumps(chat)}\n")


def _another_kind_of_model(folder: Path, spec: dict[str, Any]) -> None:
    BertConfig(architectures=["BertForMaskedLM"]).save_pretrained(folder / "model")
    (folder / "model" / "model.safetensors").write_bytes(b"x")
    spec["recipe"]["model"] = {
        "source": f"file://{folder}/model",
        "tokenizer": {"source": f"file://{folder}/tokenizer"},
    }


def _no_folder(folder: Path, spec: dict[str, Any]) -> None:
    (folder / "file").write_text("")
    spec["storage"]["uri"] = f"file://{folder}/file"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        pytest.param(_empty_file, "text.jsonl is empty; put records into it, one JSON object a line", id="empty file"),
        pytest.param(_missing_file, "text.jsonl names no object; correct the address", id="missing file"),
        pytest.param(_malformed_line, "text.jsonl is no JSON", id="malformed line"),
        pytest.param(_malformed_line, "Line 2 of ", id="its number"),
        pytest.param(_no_template, "no chat template; write one as recipe.model.chatTemplate", id="no template"),
        pytest.param(
            _another_kind_of_model,
            "is a BertForMaskedLM, which is no causal language model; name one that is",
            id="another kind of model",
        ),
        pytest.param(_no_folder, "or name another folder", id="a storage that is no folder"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused_with_what_to_change(
    agent: Agent, tmp_path: Path, fault: Fault, sentence: str
) -> None:
    spec = a_spec(tmp_path, replicas=1)
    fault(tmp_path, spec)
    pid, rank = a_warm_rank(agent)
    rank.tell(an_enter(spec))

    assert sentence in rank.hear_until(Refused).sentence
    assert agent.exit_of(pid).exit_code == 1


def test_a_full_volume_is_refused_with_the_field_that_sets_its_size(tmp_path: Path) -> None:
    """Both where weights are fetched and where small files are: what is written to /dev/full finds no room."""
    spec = a_spec(tmp_path, replicas=1)
    named = resolve(spec["recipe"]["model"]["tokenizer"]["source"], with_weights=False)
    folder = tmp_path / "cache" / "models" / named.digest
    folder.mkdir(parents=True)
    (folder / f".{named.files[0].name}.draft").symlink_to("/dev/full")
    (folder / f".a.json.{os.getpid()}").symlink_to("/dev/full")

    for write in (lambda: fetch(named, tmp_path / "cache"), lambda: write_whole(folder / "a.json", b"x")):
        with pytest.raises(RefusedError, match=r"The volume of .* is full; set spec\.workers\.cache to a larger one"):
            write()


def test_another_fault_of_a_volume_is_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")

    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a" / "b.json", b"x")
