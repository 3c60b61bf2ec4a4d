"""What is there and whole is left alone; what is not is made; what fails says what to do."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from examples.prepare import PrepareError, delivery, prepare
from examples.prepare.delivery import Recipe, Tell
from examples.prepare.receipt import Content

WORDS = b"some words\n"
WEIGHTS = b"\x00\x01" * 1000


class Workshop:
    """Makes two small parts, and counts how often."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def recipes(self, *, version: int = 1) -> tuple[Recipe, ...]:
        return (
            Recipe(part="texts", version=version, announcement=lambda: "1 s.", make=self._texts),
            Recipe(part="model", version=1, announcement=lambda: "2 s.", make=self._model),
        )

    def _texts(self, _scratch: Path, _tell: Tell) -> dict[str, Content]:
        self.made.append("texts")
        return {"data/words.jsonl": WORDS, "data/more.jsonl": WORDS * 2}

    def _model(self, scratch: Path, _tell: Tell) -> dict[str, Content]:
        self.made.append("model")
        (scratch / "weights").write_bytes(WEIGHTS)
        return {"models/m/weights": scratch / "weights"}


def ignore(_line: str) -> None:
    """Nobody looks."""


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop()
    monkeypatch.setattr(delivery, "RECIPES", made.recipes())
    return made


@pytest.fixture
def target(tmp_path: Path, workshop: Workshop) -> Path:
    """A folder that holds everything."""
    folder = tmp_path / "bucket"
    prepare(str(folder), ignore)
    assert workshop.made == ["texts", "model"]
    workshop.made.clear()
    return folder


def test_everything_is_put_where_the_examples_look(target: Path) -> None:
    assert (target / "data/words.jsonl").read_bytes() == WORDS
    assert (target / "models/m/weights").read_bytes() == WEIGHTS


def test_what_is_there_and_whole_is_neither_made_nor_touched(target: Path, workshop: Workshop) -> None:
    before = {path: path.stat() for path in target.rglob("*") if path.is_file()}
    lines: list[str] = []

    prepare(str(target), lines.append)

    assert workshop.made == []
    assert {path: path.stat().st_mtime_ns for path in before} == {path: was.st_mtime_ns for path, was in before.items()}
    assert lines == ["texts: there and whole.", "model: there and whole."]


def test_it_says_before_each_part_how_long_that_takes(tmp_path: Path, workshop: Workshop) -> None:
    lines: list[str] = []

    prepare(str(tmp_path), lines.append)

    assert workshop.made
    assert [line for line in lines if line in {"texts: 1 s.", "model: 2 s."}] == ["texts: 1 s.", "model: 2 s."]
    assert lines[-1].startswith(f"model: 0.0 MB in {tmp_path}, ")


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("spoil", [flip_a_byte, cut_off, Path.unlink])
def test_a_spoilt_object_is_made_again_and_its_neighbours_stay(
    target: Path, workshop: Workshop, spoil: Callable[[Path], None]
) -> None:
    neighbour = (target / "data/more.jsonl").stat().st_mtime_ns
    spoil(target / "data/words.jsonl")

    prepare(str(target), ignore)

    assert workshop.made == ["texts"]
    assert (target / "data/words.jsonl").read_bytes() == WORDS
    assert (target / "data/more.jsonl").stat().st_mtime_ns == neighbour


def test_a_copied_folder_is_whole(target: Path, tmp_path: Path, workshop: Workshop) -> None:
    """Its tags are others; the digests are not."""
    shutil.copytree(target, tmp_path / "copy")

    prepare(str(tmp_path / "copy"), ignore)

    assert workshop.made == []


def test_a_newer_version_of_a_part_replaces_the_older(
    target: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RECIPES", workshop.recipes(version=2))

    prepare(str(target), ignore)
    prepare(str(target), ignore)

    assert workshop.made == ["texts"]


@pytest.mark.parametrize(
    "receipt", [b"", b"{", b"[]", b'"no"', b'{"texts": 1}', b'{"texts": {"version": 1, "objects": {"a": {}}}}']
)
def test_a_receipt_that_is_none_counts_as_missing(target: Path, workshop: Workshop, receipt: bytes) -> None:
    (target / "prepared.json").write_bytes(receipt)
    before = (target / "models/m/weights").stat().st_mtime_ns

    prepare(str(target), ignore)

    assert workshop.made == ["texts", "model"]
    assert (target / "models/m/weights").stat().st_mtime_ns == before, "it has these bytes already"


def test_what_was_made_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_scratch: Path, _tell: Tell) -> dict[str, Content]:
        raise PrepareError("No model today; come back tomorrow.")

    workshop = Workshop()
    texts, model = workshop.recipes()
    broken = Recipe(part="model", version=1, announcement=model.announcement, make=fail)
    monkeypatch.setattr(delivery, "RECIPES", (texts, broken))
    with pytest.raises(PrepareError, match="come back tomorrow"):
        prepare(str(tmp_path), ignore)
    monkeypatch.setattr(delivery, "RECIPES", (texts, model))

    prepare(str(tmp_path), ignore)

    assert workshop.made == ["texts", "model"]


@pytest.mark.usefixtures("workshop")
def test_a_target_below_a_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(PrepareError, match=r"Could not .*/file/in\b.*Name a folder that you may write"):
        prepare(str(tmp_path / "file" / "in"), ignore)


@pytest.mark.usefixtures("workshop")
def test_an_address_of_no_store_is_refused_with_the_remedy() -> None:
    with pytest.raises(PrepareError, match=r"ftp:// is no store of this release.*Name a folder"):
        prepare("ftp://somewhere", ignore)


class Bucket(ThreadingHTTPServer):
    """An S3 server that answers everything with one error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()

        class Answer(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = answer  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Answer)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str, str], None]]:
    servers: list[tuple[Bucket, threading.Thread]] = []

    def start(status: int, code: str, message: str) -> None:
        server = Bucket(status, code, message)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.mark.usefixtures("workshop")
def test_a_missing_bucket_is_named_with_the_remedy(serve: Callable[[int, str, str], None]) -> None:
    serve(404, "NoSuchBucket", "There is none.")

    with pytest.raises(PrepareError, match=r"s3://missing/.*NoSuchBucket\. Make sure that the bucket exists"):
        prepare("s3://missing", ignore)


@pytest.mark.usefixtures("workshop")
def test_wrong_keys_are_told_by_the_servers_code_without_its_xml(serve: Callable[[int, str, str], None]) -> None:
    serve(403, "SignatureDoesNotMatch", "Check your key.")

    with pytest.raises(PrepareError, match=r"403 Forbidden: SignatureDoesNotMatch\. Make sure .*AWS_SECRET_ACCESS_KEY"):
        prepare("s3://guarded", ignore)
