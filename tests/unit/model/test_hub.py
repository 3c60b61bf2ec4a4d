"""A model of the hub is resolved to a commit once, and its files are fetched once into each cache."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from everstep_trainer.errors import RefusedError, StorageError
from everstep_trainer.model.source import fetch, fetched, resolve
from tests.unit.model.hub_made_here import COMMIT, NAME, TOKEN, Hub, a_hub

FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights" * 1000,
    "pytorch_model.bin": b"pickle",
    "README.md": b"# small",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with a_hub(folder) as hub:
        # What HF_ENDPOINT makes of these two, which are read with the import.
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("https://huggingface.co", hub.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield hub


@pytest.mark.parametrize("address", [NAME, f"hf://{NAME}", f"hf://{NAME}@v1", f"{NAME}@{COMMIT}"])
@pytest.mark.usefixtures("hub")
def test_a_model_is_resolved_to_a_commit_and_to_the_files_that_training_reads(address: str) -> None:
    found = resolve(address, with_weights=True)

    assert found.address == f"hf://{NAME}@{COMMIT}"
    assert [file.name for file in found.files] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert found.files[1].size_bytes == 7000
    assert [file.name for file in resolve(address, with_weights=False).files] == ["config.json", "tokenizer.json"]


def test_files_are_fetched_once_into_a_cache(hub: Hub, tmp_path: Path) -> None:
    found = resolve(NAME, with_weights=True)
    folders = {fetch(found, tmp_path / "cache") for _ in range(3)}

    (folder,) = folders
    assert sorted(hub.given) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert fetched(folder)["model.safetensors"] == hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    assert not (folder / ".cache").exists(), "nothing of huggingface_hub's own is left"
    fetch(found, tmp_path / "another cache")
    assert len(hub.given) == 6


def test_a_private_model_is_read_with_the_token(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.is_private = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    assert fetch(resolve(NAME, with_weights=True), tmp_path).exists()


@pytest.mark.parametrize(
    ("address", "state", "sentence"),
    [
        pytest.param("organisation/other", {}, "is no model of the hub, or a private one; correct the name", id="name"),
        pytest.param(f"{NAME}@v9", {}, "has no such revision; correct what is behind the @", id="revision"),
        pytest.param(NAME, {"is_private": True}, "give a token that may read it as HF_TOKEN", id="no token"),
        pytest.param(NAME, {"is_gated": True}, "accept them on its page, and give the token", id="terms"),
    ],
)
def test_what_the_hub_does_not_give_is_refused_with_what_to_change(
    hub: Hub, address: str, state: dict[str, bool], sentence: str
) -> None:
    for name, value in state.items():
        setattr(hub, name, value)

    with pytest.raises(RefusedError) as refused:
        resolve(address, with_weights=True)
    assert sentence in refused.value.sentence


def test_a_hub_that_must_not_be_asked_is_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(RefusedError, match="which HF_HUB_OFFLINE forbids to ask"):
        resolve(NAME, with_weights=True)
    assert not hub.given


def test_a_hub_that_is_ill_or_away_is_a_fault_that_passes(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.is_ill = True
    with pytest.raises(StorageError, match="The hub does not give"):
        resolve(NAME, with_weights=True)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="The hub does not give"):
        resolve(NAME, with_weights=True)
