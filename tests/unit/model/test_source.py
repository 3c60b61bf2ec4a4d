"""Files are fetched once, are the same for all workers, and what is no causal language model is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from transformers import BertConfig, BertForMaskedLM, BertModel

from everstep_trainer.errors import RefusedError, StorageError
from everstep_trainer.model.assets import load, resolve_sources
from everstep_trainer.model.build import make_config
from everstep_trainer.model.source import fetch, fetched, resolve, weight_files
from tests.unit.data.tokenizers_made_here import CHATML, a_tokenizer
from tests.unit.model.models_made_here import a_recipe, a_saved_model


def a_folder(folder: Path) -> Path:
    """A model with its tokenizer."""
    a_saved_model(folder)
    a_tokenizer().save_pretrained(folder)
    return folder


def test_a_model_is_fetched_once_by_whoever_comes_first(tmp_path: Path) -> None:
    folder = resolve(f"file://{a_folder(tmp_path / 'model')}", with_weights=True)
    paths: list[Path] = []
    workers = [Thread(target=lambda: paths.append(fetch(folder, tmp_path / "cache"))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=30)
    assert len(set(paths)) == 1
    assert len(paths) == 4
    for file in folder.files:
        assert (paths[0] / file.name).read_bytes() == (tmp_path / "model" / file.name).read_bytes()
    assert fetched(paths[0]).keys() == {file.name for file in folder.files}


def test_what_was_fetched_needs_the_store_no_more(tmp_path: Path) -> None:
    folder = resolve(f"file://{a_folder(tmp_path / 'model')}", with_weights=True)
    path = fetch(folder, tmp_path / "cache")
    (tmp_path / "model" / "config.json").unlink()
    assert fetch(folder, tmp_path / "cache") == path


def test_a_file_that_changed_is_refused_by_name(tmp_path: Path) -> None:
    folder = resolve(f"file://{a_folder(tmp_path / 'model')}", with_weights=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(RefusedError, match=r"config\.json changed after the job had started"):
        fetch(folder, tmp_path / "cache")


def test_a_fetch_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    folder = resolve(f"file://{a_folder(tmp_path / 'model')}", with_weights=True)
    half = tmp_path / "cache" / "models" / folder.digest / "config.json"
    half.parent.mkdir(parents=True)
    half.write_text("{")
    assert json.loads((fetch(folder, tmp_path / "cache") / "config.json").read_text())["model_type"] == "llama"


def test_the_same_files_have_the_same_name_and_others_another(tmp_path: Path) -> None:
    address = f"file://{a_folder(tmp_path / 'model')}"
    first = resolve(address, with_weights=True)
    assert resolve(address, with_weights=True).digest == first.digest
    assert resolve(address, with_weights=False).digest != first.digest
    (tmp_path / "model" / "tokenizer_config.json").write_text("{}")
    assert resolve(address, with_weights=True).digest != first.digest


def _pickled(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        path.rename(path.with_name("pytorch_model.bin"))


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "with_weights", "sentence"),
    [
        pytest.param(_empty, True, "holds no files", id="nothing"),
        pytest.param(_without("config.json"), True, r"holds no config\.json", id="no configuration"),
        pytest.param(_without("model.safetensors"), True, "put the model's weights there", id="no weights"),
        pytest.param(_pickled, True, "save the model with safe_serialization", id="pickled weights"),
        pytest.param(_without("tokenizer.json"), False, r"holds no tokenizer\.json", id="no tokenizer"),
    ],
)
def test_a_folder_that_is_not_complete_is_refused(
    tmp_path: Path, change: Callable[[Path], None], sentence: str, *, with_weights: bool
) -> None:
    folder = a_folder(tmp_path / "model")
    change(folder)
    with pytest.raises(RefusedError, match=sentence):
        resolve(f"file://{folder}", with_weights=with_weights)


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertModel])
def test_a_model_of_another_task_is_refused_by_its_class(tmp_path: Path, kind: type[BertModel]) -> None:
    config = BertConfig(
        vocab_size=260, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    kind(config).save_pretrained(tmp_path / "model")
    a_tokenizer().save_pretrained(tmp_path / "model")
    recipe = a_recipe(model={"config": None, "source": f"file://{tmp_path}/model"})
    with pytest.raises(RefusedError, match=f"is a {kind.__name__}, which is no causal language model"):
        load(resolve_sources(recipe), recipe, tmp_path / "cache")


def test_a_quantised_model_is_refused(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8"}
    (folder / "config.json").write_text(json.dumps(config))
    recipe = a_recipe(model={"config": None, "source": f"file://{folder}"})
    with pytest.raises(RefusedError, match="is quantised"):
        load(resolve_sources(recipe), recipe, tmp_path / "cache")


def test_a_template_of_the_recipe_replaces_the_tokenizers(tmp_path: Path) -> None:
    model = {"config": None, "source": f"file://{a_folder(tmp_path / 'model')}"}
    for written, expected in (({}, CHATML), ({"chatTemplate": {"inline": "{{ 1 }}"}}, "{{ 1 }}")):
        recipe = a_recipe(model={**model, **written})
        assert load(resolve_sources(recipe), recipe, tmp_path / "cache").template == expected
    recipe = a_recipe(model={**model, "chatTemplate": {"configMapKeyRef": {"name": "a", "key": "b"}}})
    with pytest.raises(RefusedError, match="configMapKeyRef is read by the operator of a cluster alone"):
        load(resolve_sources(recipe), recipe, tmp_path / "cache")


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "model")
    tokenizer = a_tokenizer()
    tokenizer.add_tokens(["<one>", "<two>", "<three>"])
    tokenizer.save_pretrained(folder)
    recipe = a_recipe(model={"config": None, "source": f"file://{folder}"})
    with pytest.raises(RefusedError, match="The tokenizer has 262 tokens but the model has embeddings for 260"):
        load(resolve_sources(recipe), recipe, tmp_path / "cache")


def test_random_weights_follow_the_tokenizer() -> None:
    config = make_config({"model_type": "llama", "hidden_size": 32, "vocab_size": 7}, a_tokenizer())
    assert (config.vocab_size, config.eos_token_id) == (259, 0)


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        pytest.param({"hidden_size": 32}, "has no model_type", id="no kind"),
        pytest.param({"model_type": "lama"}, "makes no lama", id="unknown kind"),
        pytest.param({"model_type": "vit"}, "is a vit, which is no causal language model", id="another task"),
        pytest.param({"model_type": "llama", "hidden_size": "wide"}, "makes no llama: .*hidden_size", id="no number"),
        pytest.param(
            {"model_type": "llama", "hidden_size": 30, "num_attention_heads": 4},
            "makes no llama",
            id="heads do not fit",
        ),
    ],
)
def test_a_configuration_that_makes_no_model_is_refused(described: dict[str, object], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        make_config(described, a_tokenizer())


def test_an_index_that_names_a_missing_file_says_which(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')
    with pytest.raises(StorageError, match=r"names model-00001-of-00002\.safetensors, which is not beside it"):
        weight_files(tmp_path)
