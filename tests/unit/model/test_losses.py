"""The chunked loss is the loss, its gradient the gradient, and packed documents do not see one another."""

from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from transformers import MistralConfig

from everstep_trainer import losses
from everstep_trainer.data.formats import Document
from everstep_trainer.data.rows import IGNORED, Row, fill
from everstep_trainer.losses import Sums, evaluation_sums, summed_loss
from tests.unit.model.models_made_here import a_filled_model, a_recipe, a_saved_model


def some_states(targets: int) -> tuple[Tensor, Tensor, nn.Linear]:
    """Hidden states of two rows of eight, targets for some of them, and an output layer."""
    torch.manual_seed(0)
    hidden = torch.randn(2, 8, 5, requires_grad=True)
    wanted = torch.full((16,), IGNORED)
    wanted[torch.randperm(16)[:targets]] = torch.randint(0, 11, (targets,))
    return hidden, wanted.view(2, 8), nn.Linear(5, 11)


@pytest.mark.parametrize("chunk", [1, 3, 100])
@pytest.mark.parametrize("targets", [1, 7, 16])
def test_chunks_change_neither_the_loss_nor_its_gradient(
    chunk: int, targets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "CHUNK_LOGITS", 11 * chunk)
    hidden, wanted, head = some_states(targets)
    summed_loss(hidden, wanted, head, vocabulary=11).backward()  # type: ignore[no-untyped-call] # torch's own
    found = [hidden.grad, head.weight.grad, head.bias.grad]
    hidden.grad = head.weight.grad = head.bias.grad = None
    plain = functional.cross_entropy(head(hidden).flatten(0, 1), wanted.flatten(), reduction="sum")
    plain.backward()  # type: ignore[no-untyped-call] # torch's own
    for gradient, expected in zip(found, [hidden.grad, head.weight.grad, head.bias.grad], strict=True):
        torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(summed_loss(hidden, wanted, head, vocabulary=11), plain)


def test_without_targets_the_loss_is_zero_and_so_are_all_gradients() -> None:
    hidden, wanted, head = some_states(0)
    loss = summed_loss(hidden, wanted, head, vocabulary=11)
    loss.backward()  # type: ignore[no-untyped-call] # torch's own
    assert loss.item() == 0
    for gradient in (hidden.grad, head.weight.grad):
        assert gradient is not None
        assert not gradient.any()


def test_an_evaluation_counts_targets_and_right_guesses() -> None:
    hidden, wanted, head = some_states(7)
    sums = evaluation_sums(hidden, wanted, head, vocabulary=11)
    logits, inside = head(hidden).flatten(0, 1), wanted.flatten() != IGNORED
    assert sums.tokens.item() == 7
    assert sums.correct.item() == (logits.argmax(-1)[inside] == wanted.flatten()[inside]).sum().item()
    assert sums.loss.item() == pytest.approx(summed_loss(hidden, wanted, head, vocabulary=11).item())


def batch_of(rows: list[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """The rows as a model takes them."""
    columns = zip(*((row.tokens_L, row.targets_L, row.positions_L) for row in rows), strict=True)
    tokens, targets, positions = (torch.stack([torch.from_numpy(part) for part in column]) for column in columns)
    return tokens, targets, positions


def a_document(length: int, *, seed: int) -> Document:
    generator = torch.Generator().manual_seed(seed)
    return Document(
        tokens=torch.randint(0, 260, (length,), generator=generator).numpy(),
        has_loss=torch.rand(length, generator=generator).numpy() > 0.3,
    )


@settings(deadline=None, max_examples=30)
@given(lengths=st.lists(st.integers(2, 20), min_size=1, max_size=5), window=st.sampled_from([None, 4]))
def test_a_packed_row_has_the_loss_of_its_documents_alone(lengths: list[int], window: int | None) -> None:
    """Also where the model has a window of its own, which its masks must keep."""
    model = _mistral(window) if window else _llama()
    documents = [a_document(length, seed=number) for number, length in enumerate(lengths)]
    packed = model(*batch_of([fill(documents, 110)]))
    alone = sum(model(*batch_of([fill([document], len(document.tokens))])) for document in documents)
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-5)


@cache
def _llama() -> nn.Module:
    return a_filled_model(a_recipe())


@cache
def _mistral(window: int) -> nn.Module:
    config = MistralConfig(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=window,
    )
    return a_filled_model(a_recipe(), config=config)  # type: ignore[arg-type] # Mistral's has the same fields


def test_a_document_changes_nothing_in_its_neighbours() -> None:
    """The gradient of one document's loss by the other's embeddings is exactly zero."""
    model = a_filled_model(a_recipe())
    first, second = a_document(10, seed=1), a_document(10, seed=2)
    tokens, targets, positions = batch_of([fill([first, second], 20)])
    targets[:, :10] = IGNORED
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    model.network.get_input_embeddings().register_forward_hook(keep)  # type: ignore[operator] # a module
    model(tokens, targets, positions).backward()
    (embedded,) = seen
    assert embedded.grad is not None
    assert not embedded.grad[:, :10].any()
    assert embedded.grad[:, 10:19].any(dim=-1).all()


def test_the_loss_is_that_of_transformers(tmp_path: Path) -> None:
    network = a_saved_model(tmp_path)
    model = a_filled_model(a_recipe(), folder=tmp_path)
    document = Document(tokens=torch.arange(30).numpy(), has_loss=torch.ones(30, dtype=torch.bool).numpy())
    ours = model(*batch_of([fill([document], 30)]))
    tokens = torch.arange(30).unsqueeze(0)
    theirs = network(input_ids=tokens, labels=tokens).loss * 29
    torch.testing.assert_close(ours, theirs)


def test_in_evaluation_mode_the_forward_gives_sums() -> None:
    model = a_filled_model(a_recipe()).eval()
    sums = model(*batch_of([fill([a_document(20, seed=3)], 20)]))
    assert isinstance(sums, Sums)
    assert sums.tokens.item() > 0
