"""A kind of model whose loss would be computed otherwise than it does itself is found before anything is trained."""

import logging

import pytest
import torch
from transformers import AutoConfig

from everstep_trainer.errors import RefusedError
from everstep_trainer.model.trial import try_loss


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3", "mistral", "gemma3_text", "phi3", "mixtral", "smollm3"])
def test_a_kind_that_is_computed_as_it_does_itself_passes(kind: str) -> None:
    try_loss(AutoConfig.for_model(kind))


@pytest.mark.parametrize("kind", ["opt", "bart"])
def test_a_kind_that_counts_positions_by_itself_is_refused_with_both_figures(kind: str) -> None:
    """Where documents begin is lost on it."""
    with pytest.raises(RefusedError, match=rf"is a {kind}, whose own loss of three documents is \d+\.\d+, but packed"):
        try_loss(AutoConfig.for_model(kind))


@pytest.mark.parametrize(
    ("kind", "why"), [("llama4_text", "has no attribute 'last_hidden_state'"), ("electra", "cannot be multiplied")]
)
def test_a_kind_that_cannot_be_computed_packed_is_refused_with_the_reason(kind: str, why: str) -> None:
    with pytest.raises(
        RefusedError, match=rf"is a {kind}, whose loss of packed documents cannot be .*{why}"
    ) as refused:
        try_loss(AutoConfig.for_model(kind))
    assert refused.value.sentence.endswith("This release cannot train it; name another model.")


@pytest.mark.parametrize("kind", ["gptj", "cwm"])
def test_a_kind_of_which_no_small_copy_can_be_made_is_not_tried(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    try_loss(AutoConfig.for_model(kind))
    assert f"The loss of a {kind} is not tried" in caplog.text


def test_a_trial_leaves_the_random_numbers_and_the_configuration_as_they_are() -> None:
    config = AutoConfig.for_model("llama")
    before = config.to_dict()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    try_loss(config)
    assert torch.equal(torch.rand(1), expected)
    assert config.to_dict() == before
