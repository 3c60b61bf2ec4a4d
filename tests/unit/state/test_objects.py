"""A store creates each object once, and says so whatever becomes of the answers."""

import os
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from everstep_trainer import objects
from everstep_trainer.errors import DeniedError, RefusedError, StorageError
from everstep_trainer.objects import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(f"file://{tmp_path}/a folder")


def test_only_the_first_of_two_contents_is_created(store: Store) -> None:
    assert store.put_if_absent("a/b.json", b"first")
    assert store.put_if_absent("a/b.json", b"first")
    assert not store.put_if_absent("a/b.json", b"other")
    assert store.get("a/b.json") == b"first"


def test_a_folder_lists_what_lies_below_it_by_name(store: Store) -> None:
    for name in ("b/2.json", "b/1.json", "bc/3.json", "d.json"):
        store.put(name, name.encode())

    assert [entry.name for entry in store.entries("b")] == ["b/1.json", "b/2.json"]
    assert [entry.name for entry in store.under("b").entries()] == ["1.json", "2.json"]
    assert store.folders() == ["b", "bc"]
    assert store.folders("none") == []


def test_a_missing_object_is_none_to_find_and_an_error_to_get(store: Store) -> None:
    assert store.find("a") is None
    assert store.head("a") is None
    with pytest.raises(StorageError, match="a folder/a does not exist"):
        store.get("a")
    store.delete(["a"])


def test_a_range_is_exact_or_an_error(store: Store) -> None:
    store.put("a", b"0123456789")

    assert store.get_range("a", 2, 3) == b"234"
    assert store.get_range("a", 2, 0) == b""
    with pytest.raises(StorageError, match="ends 2 bytes before 12"):
        store.get_range("a", 8, 4)


def test_a_claim_is_the_folder_at_which_the_operator_mounts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match="pvc:// is no store"):
        Store.at("pvc://models/small")
    monkeypatch.setenv("EVERSTEP_CLAIMS", str(tmp_path))
    Store.at("pvc://models/small").put("config.json", b"{}")

    assert (tmp_path / "models" / "small" / "config.json").read_bytes() == b"{}"
    assert [entry.name for entry in Store.at("pvc://models").entries()] == ["small/config.json"]


def test_a_bare_path_is_a_folder_and_nothing_is_made_by_looking(tmp_path: Path) -> None:
    looked = Store.at(str(tmp_path / "none"))

    assert looked.entries() == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("uri", ["pvc://claim/folder", "hf://organisation/name", "http://host/file"])
def test_an_address_of_another_kind_is_refused_with_those_that_are_known(uri: str) -> None:
    with pytest.raises(RefusedError, match="use s3, gs, az or file"):
        Store.at(uri)


def test_an_answer_that_was_lost_is_found_by_looking(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object was created, but the connection was cut before the answer came."""
    put = obstore.put

    def lose(*args: Any, **keywords: Any) -> None:
        put(*args, **keywords)
        raise GenericError("connection reset")

    monkeypatch.setattr(obstore, "put", lose)

    assert store.put_if_absent("a", b"ours")


def test_a_request_that_failed_is_tried_again_up_to_a_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "CREATE_PAUSE_S", 0.0)
    tries = []

    def fail(*_: Any, **__: Any) -> None:
        tries.append(1)
        raise GenericError("connection reset")

    monkeypatch.setattr(obstore, "put", fail)

    with pytest.raises(StorageError, match=r"Could not create .*a folder/a: connection reset"):
        store.put_if_absent("a", b"ours")
    assert len(tries) == objects.CREATE_ATTEMPTS


def test_a_store_with_atomic_creation_passes_the_probe_and_is_left_clean(store: Store) -> None:
    store.probe()

    assert store.entries() == []


def test_a_store_where_several_clients_win_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put = obstore.put

    def overwrite(*args: Any, **keywords: Any) -> None:
        put(*args, **{name: value for name, value in keywords.items() if name != "mode"})

    monkeypatch.setattr(obstore, "put", overwrite)

    with pytest.raises(RefusedError, match=r"8 of 8 clients created the same object at once; use a store with atomic"):
        store.probe()


def test_a_folder_that_cannot_be_written_is_refused_with_who_must_be_let_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(RefusedError, match="which cannot be written") as refused:
        Store.at(str(tmp_path / "file")).probe()

    remedy = f"Let user {os.getuid()} write there, mount it writable, or name another folder in storage.uri."
    assert refused.value.sentence.endswith(remedy)


def test_a_folder_that_cannot_be_read_is_refused_with_who_must_be_let_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(DeniedError) as denied:
        Store.at(str(tmp_path / "file")).find("a")
    assert denied.value.refused().sentence.endswith(f"Let user {os.getuid()} read it, or name another folder.")


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        pytest.param("No space left on device (os error 28)", RefusedError, "is full: .*Make room there", id="full"),
        pytest.param("Disk quota exceeded (os error 122)", RefusedError, "is full: .*Make room there", id="quota"),
        pytest.param("connection reset", StorageError, "Could not create .*: connection reset", id="passing"),
    ],
)
def test_a_fault_that_passes_while_a_store_is_proved_does_not_end_the_job(
    store: Store, monkeypatch: pytest.MonkeyPatch, fault: str, error: type[Exception], sentence: str
) -> None:
    """It is told as a fault of the storage, after which the next world asks again; to wait for room is in vain."""

    def fail(*_: Any, **__: Any) -> None:
        raise GenericError(fault)

    monkeypatch.setattr(obstore, "put", fail)

    with pytest.raises(error, match=sentence):
        store.probe()


ANSWER = (
    "The operation lacked the necessary privileges: status code: 403 Forbidden: <?xml version='1.0'?>\n<Error>"
    "<Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>key</AWSAccessKeyId></Error>\n\nDebug source:\nStatus {}"
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            PermissionDeniedError(ANSWER),
            r"a: The operation lacked the necessary privileges: status code: 403 Forbidden: SignatureDoesNotMatch\.$",
            id="keys that are wrong",
        ),
        pytest.param(
            FileNotFoundError("404 Not Found: <?xml?><Error><Code>NoSuchBucket</Code></Error>"),
            r"404 Not Found: NoSuchBucket\.$",
            id="a bucket that is missing",
        ),
    ],
)
def test_a_refusal_is_told_by_its_code_and_without_keys(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(obstore, "put", fail)

    with pytest.raises(StorageError, match=expected):
        store.put("a", b"")
    with pytest.raises(RefusedError, match=r"which cannot be written: .*Let user \d+ write there"):
        store.probe()


def test_a_bucket_that_denies_itself_is_refused_with_the_keys_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PermissionDeniedError(ANSWER)

    monkeypatch.setattr(obstore, "put", fail)
    monkeypatch.setenv("AWS_REGION", "none")

    with pytest.raises(RefusedError, match=r"which cannot be written: .*spec\.credentials holds the keys"):
        Store.at("s3://team/runs").probe()
