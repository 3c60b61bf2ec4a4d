"""One held-out prompt is answered by two models, as plain transformers answers it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer import Typer
from typer.testing import CliRunner

from everstep_trainer.objects import Store
from examples import show
from examples.show import ShowError
from tests.unit.data.tokenizers_made_here import a_tokenizer
from tests.unit.model.models_made_here import a_saved_model

PROMPT = "def f(x):\n    return x"
CHAT = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": "Return it."}]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models and two lines, of which the second is no chat."""
    folder = tmp_path_factory.mktemp("bucket")
    for name, seed in (("base", 0), ("tuned", 1)):
        a_saved_model(folder / name, seed=seed, vocab_size=259, max_position_embeddings=256, eos_token_id=0)
        a_tokenizer().save_pretrained(folder / name)
    (folder / "held-out.jsonl").write_text(f"{json.dumps({'messages': CHAT})}\n{{}}\n")
    return folder


@pytest.fixture
def s3(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder as s3://b."""

    class Stores:
        @staticmethod
        def at(address: str) -> Store:
            return Store.at(address.replace("s3://b", str(bucket), 1))

    monkeypatch.setattr(show, "Store", Stores)


def run(*arguments: str) -> Any:
    program = Typer()
    program.command()(show.main)
    return CliRunner().invoke(program, arguments)


def greedy(folder: Path) -> str:
    """The likeliest token again and again, without the machinery of `generate`."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    text = f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    asked = len(tokens)
    with torch.no_grad():
        while len(tokens) < asked + show.MOST_TOKENS and tokens[-1] != tokenizer.eos_token_id:
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return str(tokenizer.decode(tokens[asked:], skip_special_tokens=True)).strip()


def test_the_answer_is_made_of_the_likeliest_tokens_alone(bucket: Path) -> None:
    said = show.answer(bucket / "base", CHAT[:1])

    assert said == greedy(bucket / "base")
    assert said != show.answer(bucket / "tuned", CHAT[:1])


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("place", ["s3://b", "{bucket}", "file://{bucket}"])
def test_question_both_answers_and_reference_are_printed(bucket: Path, place: str) -> None:
    place = place.format(bucket=bucket)

    result = run("--base", f"{place}/base", "--tuned", f"{place}/tuned", "--held-out", f"{place}/held-out.jsonl")

    assert result.exit_code == 0, result.output
    titles = [line for line in result.stdout.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Held out, line 1 of held-out.jsonl:", "Before training:", "After training:", "Its author:"]
    assert "    def f(x):\n        return x\n" in result.stdout
    assert result.stdout.endswith("Its author:\n    Return it.\n")
    first, last = (show.answer(bucket / name, CHAT[:1]).splitlines()[0] for name in ("base", "tuned"))
    assert result.stdout.index(f"    {first}") < result.stdout.index("After training:")
    assert result.stdout.index(f"    {last}", result.stdout.index("After training:"))


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        pytest.param(1, "Line 2 of held-out.jsonl is no question with its answer", id="a line that is no chat"),
        pytest.param(2, "has 2 lines, none of them with the index 2", id="behind the last line"),
        pytest.param(-1, "none of them with the index -1", id="before the first line"),
    ],
)
def test_a_line_without_a_question_is_named(bucket: Path, index: int, sentence: str) -> None:
    with pytest.raises(ShowError, match=sentence):
        show.read_question(bucket / "held-out.jsonl", index)


def test_a_file_that_is_not_there_ends_with_a_sentence(bucket: Path) -> None:
    result = run("--base", "x", "--tuned", "y", "--held-out", str(bucket / "missing.jsonl"))

    assert result.exit_code == 1
    assert result.stderr.startswith(f"show: {bucket}/missing.jsonl cannot be read: No such file")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShowError, match=f"transformers loads no model from {tmp_path}: "):
        show.answer(tmp_path, CHAT[:1])


@pytest.mark.usefixtures("s3")
def test_a_place_of_a_bucket_without_files_says_what_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(ShowError, match="s3://b/nothing holds no files"):
        show.fetch_folder("s3://b/nothing", tmp_path / "model")
    with pytest.raises(ShowError, match=r"nothing\.jsonl does not exist\. Make sure that AWS_ENDPOINT_URL"):
        show.fetch_file("s3://b/nothing.jsonl", tmp_path)
