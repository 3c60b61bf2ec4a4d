"""A server that speaks as much of the hub's API as huggingface_hub asks of it for a model's files."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "organisation/small"
COMMIT = "c0ffee" * 6 + "c0ff"
TOKEN = "hf_of_a_reader"  # noqa: S105 - no secret


@dataclass(slots=True, kw_only=True)
class Hub:
    """One model, at one commit that `main` and `v1` name."""

    folder: Path
    endpoint: str = ""
    is_private: bool = False
    is_gated: bool = False
    is_ill: bool = False
    given: list[str] = field(default_factory=list)
    """Files that were sent, in order."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        if self.is_ill:
            return _send(request, 500)
        if self.is_private and request.headers["Authorization"] != f"Bearer {TOKEN}":
            return _send(request, 404, {"X-Error-Code": "RepoNotFound"})
        if self.is_gated:
            return _send(request, 403, {"X-Error-Code": "GatedRepo"})
        for beginning, give in ((f"/api/models/{NAME}", self._list), (f"/{NAME}/resolve/", self._give)):
            if path.startswith(beginning):
                return give(request, path.removeprefix(beginning))
        return _send(request, 404, {"X-Error-Code": "RepoNotFound"})

    def _list(self, request: BaseHTTPRequestHandler, rest: str) -> None:
        if rest.removeprefix("/revision/") not in {"", "main", "v1", COMMIT}:
            return _send(request, 404, {"X-Error-Code": "RevisionNotFound"})
        files = sorted(self.folder.iterdir())
        siblings = [{"rfilename": file.name, "size": file.stat().st_size, "blobId": _etag(file)} for file in files]
        said = json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode()
        return _send(request, 200, {"Content-Type": "application/json"}, said)

    def _give(self, request: BaseHTTPRequestHandler, rest: str) -> None:
        commit, _, name = rest.partition("/")
        file = self.folder / name
        if commit != COMMIT or not file.is_file():
            return _send(request, 404, {"X-Error-Code": "EntryNotFound"})
        if request.command == "GET":
            self.given.append(name)
        return _send(request, 200, {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT}, file.read_bytes())


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


def _send(request: BaseHTTPRequestHandler, code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
    request.send_response(code)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


@contextmanager
def a_hub(folder: Path) -> Iterator[Hub]:
    """Serve the folder as a model."""
    hub = Hub(folder=folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.answer(self)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()
