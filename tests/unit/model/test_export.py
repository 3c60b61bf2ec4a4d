"""What is exported is the model that was trained, and plain transformers loads it."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from everstep_api.job import Output
from everstep_api.recipe import Recipe
from everstep_trainer.model.assets import Assets
from everstep_trainer.model.export import write_model
from everstep_trainer.model.files import WeightFiles
from everstep_trainer.objects import Store
from everstep_trainer.tasks.causal_lm import CausalLM, causal_of
from tests.unit.data.tokenizers_made_here import CHATML, a_tokenizer
from tests.unit.model.models_made_here import a_config, a_filled_model, a_recipe, a_saved_model

TOKENS = torch.arange(24).unsqueeze(0)
LORA = {"rank": 4, "alpha": 8}


def a_trained_model(recipe: Recipe, **how: Any) -> CausalLM:
    """A model whose trained weights are not what they were at the beginning."""
    model = a_filled_model(recipe, **how)
    torch.manual_seed(9)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.05)
    return model.eval()


def exported(model: CausalLM, recipe: Recipe, folder: Path, **output: Any) -> Path:
    """Where the model was written to."""
    assets = Assets(folder=None, tokenizer=a_tokenizer(), config=causal_of(model.network).config, sha256={})
    wanted = Output.model_validate({"dtype": "fp32", **output})
    write_model(
        model,
        assets,
        recipe,
        wanted,
        into=Store.at(str(folder / "out")),
        scratch=folder / "scratch",
        is_first=True,
    )
    assert not (folder / "scratch").exists()
    return folder / "out"


@torch.no_grad()
def logits_of(network: nn.Module) -> Tensor:
    logits: Tensor = network(input_ids=TOKENS).logits
    return logits


def loaded(folder: Path) -> PreTrainedModel:
    """The model as transformers loads it, with nothing missing and nothing over."""
    found: Any = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    network, report = cast("tuple[PreTrainedModel, dict[str, Any]]", found)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return network


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}], ids=["own output layer", "tied"])
def test_a_model_that_was_trained_in_full_is_loaded_as_it_is(tmp_path: Path, changes: dict[str, bool]) -> None:
    recipe = a_recipe()
    model = a_trained_model(recipe, config=a_config(**changes))
    network = loaded(exported(model, recipe, tmp_path))
    torch.testing.assert_close(logits_of(network), logits_of(causal_of(model.network)))


def test_the_type_is_the_one_that_was_wanted(tmp_path: Path) -> None:
    recipe = a_recipe()
    network = loaded(exported(a_trained_model(recipe), recipe, tmp_path, dtype="bf16"))
    assert {weight.dtype for weight in network.parameters()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]


@pytest.mark.parametrize(
    "lora",
    [
        LORA,
        {**LORA, "rslora": True},
        {**LORA, "targetModules": ["q_proj", "embed_tokens"]},
        {**LORA, "modulesToSave": ["lm_head"]},
    ],
    ids=["plain", "stable rank", "of embeddings", "with a layer trained in full"],
)
def test_adapters_are_merged_into_the_model(tmp_path: Path, lora: dict[str, Any]) -> None:
    recipe, model = _adapted(tmp_path, lora)
    network = loaded(exported(model, recipe, tmp_path))
    torch.testing.assert_close(logits_of(network), logits_of(model.network), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft 0.21's
@pytest.mark.parametrize("lora", [LORA, {**LORA, "modulesToSave": ["lm_head"]}], ids=["plain", "with a layer"])
@pytest.mark.parametrize("weights", ["adapter", "both"])
def test_an_adapter_is_loaded_by_peft_onto_the_model_it_was_trained_with(
    tmp_path: Path, weights: str, lora: dict[str, Any]
) -> None:
    recipe, model = _adapted(tmp_path, lora)
    out = exported(model, recipe, tmp_path, weights=weights)
    folder = out if weights == "adapter" else out / "adapter"
    assert (out / "model.safetensors").exists() == (weights == "both")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    network = PeftModel.from_pretrained(base, folder)
    torch.testing.assert_close(logits_of(network), logits_of(model.network), rtol=1e-4, atol=1e-5)
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == recipe.model.source


def _adapted(folder: Path, lora: dict[str, Any]) -> tuple[Recipe, CausalLM]:
    a_saved_model(folder / "base")
    recipe = a_recipe(model={"config": None, "source": f"file://{folder}/base", "lora": lora})
    return recipe, a_trained_model(recipe, folder=folder / "base")


def test_layers_that_hold_their_matrix_the_other_way_round_are_merged_rightly(tmp_path: Path) -> None:
    """GPT-2's are square where it matters, so that no shape would tell."""
    config = GPT2Config(vocab_size=260, n_positions=64, n_embd=32, n_layer=2, n_head=4)
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "base")
    lora = {**LORA, "targetModules": ["c_proj"]}
    recipe = a_recipe(model={"config": None, "source": f"file://{tmp_path}/base", "lora": lora})
    model = a_trained_model(recipe, folder=tmp_path / "base", config=config)
    network = loaded(exported(model, recipe, tmp_path))
    torch.testing.assert_close(logits_of(network), logits_of(model.network), rtol=1e-4, atol=1e-5)


def test_the_tokenizer_comes_with_its_template(tmp_path: Path) -> None:
    recipe = a_recipe()
    out = exported(a_trained_model(recipe), recipe, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert tokenizer.chat_template == CHATML
    assert tokenizer("Grüße").input_ids == a_tokenizer()("Grüße").input_ids


def test_a_large_model_becomes_several_files_with_an_index(tmp_path: Path) -> None:
    tensors = {f"weight{number}": torch.full((10,), float(number)) for number in range(5)}
    files = WeightFiles(
        Store.at(str(tmp_path / "out")),
        tmp_path / "scratch",
        dict.fromkeys(tensors, 40),
        stem="model",
        most_bytes=100,
    )
    for name, tensor in tensors.items():
        files.add(name, tensor)
    files.finish()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)] + [
        "model.safetensors.index.json"
    ]
    index = json.loads((tmp_path / "out" / names[-1]).read_text())
    assert index["metadata"]["total_size"] == 200
    assert index["weight_map"]["weight4"] == names[2]


def test_an_export_that_was_cut_off_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.safetensors").write_bytes(b"half")
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "model.safetensors").write_bytes(b"half")
    recipe = a_recipe()
    loaded(exported(a_trained_model(recipe), recipe, tmp_path))
