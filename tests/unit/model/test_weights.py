"""A model begins the same in any world, from files or from random numbers, and computes what transformers computes."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from torch import Tensor, nn
from transformers import CohereConfig, Lfm2Config, LlamaForCausalLM, PretrainedConfig, RecurrentGemmaConfig

from everstep_trainer.errors import RefusedError
from everstep_trainer.model.build import build, make_network
from everstep_trainer.model.weights import FileValues, OriginalValues, fill
from everstep_trainer.parallel.shard import Chunk
from everstep_trainer.tasks.causal_lm import CausalLM, causal_of
from tests.unit.model.models_made_here import a_config, a_filled_model, a_recipe, a_saved_model, weights_of

TOKENS = torch.arange(24).unsqueeze(0)
LORA = {"lora": {"rank": 4, "alpha": 8}}


def logits_of(model: CausalLM) -> Tensor:
    """What the model says of some tokens."""
    causal = causal_of(model.network)
    with torch.no_grad():
        logits: Tensor = causal(input_ids=TOKENS).logits
    return logits


def a_source(folder: Path, **model: object) -> dict[str, object]:
    """The part of a recipe that names the model in a folder."""
    return {"config": None, "source": f"file://{folder}", **model}


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}], ids=["own output layer", "tied"])
def test_a_model_from_files_computes_what_transformers_does(tmp_path: Path, changes: dict[str, bool]) -> None:
    network = a_saved_model(tmp_path, **changes)
    model = a_filled_model(a_recipe(model=a_source(tmp_path)), folder=tmp_path, config=a_config(**changes))
    with torch.no_grad():
        torch.testing.assert_close(logits_of(model), network(input_ids=TOKENS).logits)


def test_files_of_several_shards_are_read(tmp_path: Path) -> None:
    network = a_saved_model(tmp_path / "whole")
    network.save_pretrained(tmp_path / "cut", max_shard_size="20KB")
    assert len(list((tmp_path / "cut").glob("*.safetensors"))) > 2
    whole, cut = (
        a_filled_model(a_recipe(model=a_source(tmp_path)), folder=tmp_path / name) for name in ("whole", "cut")
    )
    for name, weight in weights_of(whole).items():
        assert torch.equal(weight, weights_of(cut)[name]), name


@settings(deadline=None, max_examples=20)
@given(size=st.integers(1, 7), seed=st.integers(0, 2**32 - 1))
def test_the_parts_of_any_world_make_the_same_random_weights(size: int, seed: int) -> None:
    originals = OriginalValues(make_network(a_config(), torch.float32), seed=seed)
    name = "model.layers.1.self_attn.q_proj.weight"
    whole = originals.tensor(name)
    rows = -(-whole.shape[0] // size)
    parts = []
    for rank in range(size):
        start = min(rank * rows, whole.shape[0])
        count = min(rows, whole.shape[0] - start)
        parts.append(originals.read(name, Chunk(name=name, shape=(32, 32), dtype="F32", start=start, rows=count)))
    assert torch.equal(torch.cat(parts), whole)


def test_random_weights_depend_on_seed_and_name_and_look_like_those_of_transformers() -> None:
    one, same, other = (weights_of(a_filled_model(a_recipe(), seed=seed)) for seed in (1, 1, 2))
    name, neighbour = "network.model.layers.0.mlp.up_proj.weight", "network.model.layers.1.mlp.up_proj.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])
    assert not torch.equal(one[name], one[neighbour])
    assert one[name].std().item() == pytest.approx(a_config().initializer_range, rel=0.1)
    assert torch.equal(one["network.model.norm.weight"], torch.ones(32))


def test_buffers_are_computed_anew() -> None:
    """Else a model that was built on meta turns its positions by whatever was in memory."""
    model = a_filled_model(a_recipe())
    fresh = LlamaForCausalLM(a_config())
    expected = dict(fresh.named_buffers())
    found = {name.removeprefix("network."): buffer for name, buffer in model.named_buffers()}
    assert found.keys() == expected.keys()
    for name, buffer in found.items():
        torch.testing.assert_close(buffer, expected[name])


def test_random_numbers_of_the_process_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a_filled_model(a_recipe())
    assert torch.equal(torch.rand(3), expected)


def test_adapters_change_nothing_at_the_beginning(tmp_path: Path) -> None:
    network = a_saved_model(tmp_path)
    model = a_filled_model(a_recipe(model=a_source(tmp_path, **LORA)), folder=tmp_path)
    assert isinstance(model.network, PeftModel)
    with torch.no_grad():
        torch.testing.assert_close(logits_of(model), network(input_ids=TOKENS).logits)
    matrices = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert matrices
    assert all("lora_" in name for name in matrices)
    assert all(weights_of(model)[name].any() == ("lora_A" in name) for name in matrices)


def test_layers_that_are_trained_beside_adapters_begin_as_the_models_own(tmp_path: Path) -> None:
    network = a_saved_model(tmp_path)
    lora = {"lora": {"rank": 4, "targetModules": ["q_proj"], "modulesToSave": ["lm_head"]}}
    model = a_filled_model(a_recipe(model=a_source(tmp_path, **lora)), folder=tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(logits_of(model), network(input_ids=TOKENS).logits)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad and "lora_" not in name}
    assert trained == {"network.base_model.model.lm_head.modules_to_save.default.weight"}


@pytest.mark.parametrize(
    ("precision", "model", "own", "trained"),
    [
        pytest.param("bf16", {}, torch.float32, torch.float32, id="trained in full: masters"),
        pytest.param("bf16", LORA, torch.bfloat16, torch.float32, id="frozen in bf16, adapters as masters"),
        pytest.param("fp32", LORA, torch.float32, torch.float32, id="fp32 alone"),
    ],
)
def test_weights_have_the_type_that_their_use_needs(
    tmp_path: Path, precision: str, model: dict[str, object], own: torch.dtype, trained: torch.dtype
) -> None:
    built = build(a_config(), a_recipe(precision=precision, model=a_source(tmp_path, **model)))
    assert {weight.dtype for weight in built.parameters() if weight.requires_grad} == {trained}
    assert {weight.dtype for name, weight in built.named_parameters() if "lora_" not in name} == {own}
    assert all(weight.is_meta for weight in built.parameters())


def test_a_restored_state_gets_what_its_checkpoint_does_not_hold(tmp_path: Path) -> None:
    a_saved_model(tmp_path)
    recipe = a_recipe(model=a_source(tmp_path, **LORA))
    model = CausalLM(build(a_config(), recipe)).to_empty(device="cpu")
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(7.0)
    originals = OriginalValues(make_network(a_config(), torch.float32), seed=1)
    fill(model, FileValues(tmp_path, str(tmp_path)), originals, seed=1, with_trained=False)
    for name, weight in model.named_parameters():
        assert (weight == 7.0).all().item() == ("lora_" in name), name


@pytest.mark.parametrize("recompute", ["selective", "full", "none"])
def test_recomputing_changes_no_gradient(recompute: str) -> None:
    """With dropout, whose numbers must come again as they were."""
    gradients = []
    for what in ("none", recompute):
        config = a_config(attention_dropout=0.3)
        model = a_filled_model(a_recipe(activationCheckpointing=what), config=config).train()
        torch.manual_seed(3)
        model(TOKENS, TOKENS.roll(-1), torch.arange(24).unsqueeze(0)).backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None
        assert torch.equal(gradient, gradients[1][name]), name  # type: ignore[arg-type] # both have one


def test_a_weight_that_the_files_lack_is_named(tmp_path: Path) -> None:
    a_saved_model(tmp_path, num_hidden_layers=1)
    with pytest.raises(RefusedError, match=r"has no weight model\.layers\.1\."):
        a_filled_model(a_recipe(model=a_source(tmp_path)), folder=tmp_path)


def test_a_weight_of_another_shape_is_named(tmp_path: Path) -> None:
    a_saved_model(tmp_path, vocab_size=300)
    with pytest.raises(
        RefusedError, match=r"embed_tokens\.weight with shape \[300, 32\], but its config\.json wants \[260"
    ):
        a_filled_model(a_recipe(model=a_source(tmp_path)), folder=tmp_path)


def test_adapters_for_layers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    lora = {"lora": {"targetModules": ["query"]}}
    with pytest.raises(
        RefusedError, match=r"finds no layers to adapt by query; write all-linear, or names out of .*q_proj"
    ):
        build(a_config(), a_recipe(model=a_source(tmp_path, **lora)))


def test_a_model_that_changes_its_logits_is_refused() -> None:
    config = CohereConfig(
        vocab_size=260, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, pad_token_id=0
    )
    network: nn.Module = make_network(config, torch.float32)
    with pytest.raises(RefusedError, match=r"is a cohere with logit_scale 0\.0625"):
        CausalLM(network)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(
            Lfm2Config(
                vocab_size=260,
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=2,
                num_attention_heads=4,
                layer_types=["conv", "full_attention"],
            ),
            id="a convolution runs over their borders",
        ),
        pytest.param(
            RecurrentGemmaConfig(
                vocab_size=260, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4
            ),
            id="its masks are its own",
        ),
    ],
)
def test_a_model_that_would_mix_documents_is_refused(config: PretrainedConfig) -> None:
    with pytest.raises(RefusedError, match="which cannot keep the documents of a row apart"):
        CausalLM(make_network(config, torch.float32))
