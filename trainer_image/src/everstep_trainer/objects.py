"""The object store: the only module that knows obstore.

A `Store` is a folder in it: a prefix of a bucket, or a directory. What is written once is written by `put_if_absent`,
which is how ranks, worlds and jobs agree without talking to each other. Nothing here works in a process that is forked
afterwards: obstore starts threads with its first request.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Barrier
from time import sleep
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from everstep_trainer.errors import DeniedError, FullError, RefusedError, StorageError

REQUEST_TIMEOUT = timedelta(seconds=30)
"""For one request; uploads go in parts of 8 MiB, which 2 Mbit/s carry in this time."""
CONNECT_TIMEOUT = timedelta(seconds=5)
RETRIES = 6
RETRY_TIMEOUT = timedelta(seconds=60)
"""Repeated by obstore with a growing pause: 5xx answers, refused and cut connections, timeouts of reads."""
CREATE_ATTEMPTS = 5
CREATE_PAUSE_S = 0.2
"""A creation whose answer was lost is not repeated by obstore. Looking and trying again takes 3 s at most, beside the
requests themselves."""
PART_BYTES = 8 * 1024 * 1024
_CLAIMS = "EVERSTEP_CLAIMS"
"""Where the operator mounts the claims that a job names by `pvc://claim/path`, each under its name."""
PROBE_CLIENTS = 8
PROBE_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object in a store."""

    name: str
    """Its path below the store that listed it."""
    size_bytes: int
    etag: str
    """The store's own tag of this content; for folders made of inode, time and size."""
    modified_s: float


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of an object store. Names are relative paths with `/`.

    Raises:
        StorageError: by every method, when the store refuses or does not answer in time.
    """

    uri: str
    _backend: Any
    _prefix: str

    @classmethod
    def at(cls, uri: str) -> Self:
        """The folder at an address: s3://, gs://, az://, pvc://, file:/// or a path. Nothing is asked of the store yet.

        Raises:
            RefusedError: the address is none that can be opened from here.
        """
        scheme, bucket, path = _split(uri)
        if scheme == "file":
            return cls(uri, _folders(), Path(path).absolute().as_posix().strip("/"))
        return cls(uri, _bucket(f"{scheme}://{bucket}"), path.strip("/"))

    def under(self, folder: str) -> Self:
        """A folder below this one."""
        return type(self)(f"{self.uri.rstrip('/')}/{folder}", self._backend, self._path(folder))

    def find(self, name: str) -> bytes | None:
        """The whole object, or None where there is none."""
        try:
            with self._asking("read", name):
                return bytes(obstore.get(self._backend, self._path(name)).bytes())
        except FileNotFoundError:
            return None

    def get(self, name: str) -> bytes:
        """The whole object.

        Raises:
            StorageError: also when there is none.
        """
        content = self.find(name)
        if content is None:
            raise StorageError(f"{self.uri}/{name} does not exist.")
        return content

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start` on; fewer are an error."""
        if length == 0:
            return b""
        try:
            with self._asking("read", name):
                content = bytes(obstore.get_range(self._backend, self._path(name), start=start, length=length))
        except FileNotFoundError as error:
            raise StorageError(f"{self.uri}/{name} does not exist.") from error
        if len(content) != length:
            raise StorageError(f"{self.uri}/{name} ends {length - len(content)} bytes before {start + length}.")
        return content

    def head(self, name: str) -> Entry | None:
        """Size, tag and time of an object, or None where there is none."""
        try:
            with self._asking("look at", name):
                return self._entry(obstore.head(self._backend, self._path(name)))
        except FileNotFoundError:
            return None

    def entries(self, folder: str = "") -> list[Entry]:
        """Every object below the folder, at any depth, sorted by name."""
        with self._asking("list", folder):
            chunks = obstore.list(self._backend, prefix=self._path(folder) or None)
            return sorted((self._entry(found) for chunk in chunks for found in chunk), key=lambda entry: entry.name)

    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders directly below the folder, sorted."""
        with self._asking("list", folder):
            found = obstore.list_with_delimiter(self._backend, prefix=self._path(folder) or None)
        return sorted(posixpath.basename(prefix.rstrip("/")) for prefix in found["common_prefixes"])

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Create the object unless there is one. True says that the object holds exactly `content` now.

        So a creation whose answer was lost, or that another one made with the same bytes, is True as well.
        """
        for attempt in range(CREATE_ATTEMPTS):
            try:
                return self._create(name, content)
            except StorageError:
                present = self.find(name)
                if present is not None:
                    return present == content
                if attempt == CREATE_ATTEMPTS - 1:
                    raise
                sleep(CREATE_PAUSE_S * 2**attempt)
        raise AssertionError  # the last attempt has returned or raised

    def put(self, name: str, content: bytes | Path) -> None:
        """Write the object, all of it or nothing, over one that may be there; large ones go in parts."""
        with self._asking("write", name):
            obstore.put(self._backend, self._path(name), content, chunk_size=PART_BYTES)

    def delete(self, names: Iterable[str]) -> None:
        """Remove the objects; one that is gone already is success."""
        for name in names:
            try:
                with self._asking("delete", name):
                    obstore.delete(self._backend, self._path(name))
            except FileNotFoundError:
                continue

    def probe(self) -> None:
        """Prove that the store can be written, and that of several clients exactly one creates an object.

        Eight clients race ten times: a server that passes one by one let several win in 40 % of the rounds.

        Raises:
            RefusedError: it is not so; the sentence says what to change.
            StorageError: it does not answer, which proves nothing.
        """
        folder = f"probe/{uuid4()}"
        try:
            with ThreadPoolExecutor(PROBE_CLIENTS) as clients:
                for race in range(PROBE_ROUNDS):
                    winners = self._race(f"{folder}/{race}", clients)
                    if winners != 1:
                        raise RefusedError(
                            f"storage.uri is {self.uri}, where {winners} of {PROBE_CLIENTS} clients created the same"
                            " object at once; use a store with atomic creation (If-None-Match: *)."
                        )
            self.delete([entry.name for entry in self.entries(folder)])
        except DeniedError as error:
            raise RefusedError(f"storage.uri is {self.uri}, which cannot be written: {error} {error.remedy}") from error
        except FullError as error:
            raise RefusedError(
                f"storage.uri is {self.uri}, which is full: {error} Make room there, or name another folder."
            ) from error

    def _create(self, name: str, content: bytes) -> bool:
        """Create the object in one request; False when there is one with other bytes."""
        try:
            with self._asking("create", name):
                obstore.put(self._backend, self._path(name), content, mode="create", use_multipart=False)
        except FileExistsError:
            return self.get(name) == content
        return True

    def _race(self, name: str, clients: ThreadPoolExecutor) -> int:
        """How many of the clients were told that they created the object."""
        start = Barrier(PROBE_CLIENTS)

        def create(client: int) -> bool:
            start.wait(timeout=REQUEST_TIMEOUT.total_seconds())
            return self._create(name, f"{client}".encode())

        return sum(clients.map(create, range(PROBE_CLIENTS)))

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}".strip("/")

    def _entry(self, found: Any) -> Entry:
        return Entry(
            name=found["path"].removeprefix(self._prefix).lstrip("/"),
            size_bytes=found["size"],
            etag=found["e_tag"] or "",
            modified_s=found["last_modified"].timestamp(),
        )

    @contextmanager
    def _asking(self, verb: str, name: str) -> Iterator[None]:
        """Turn what obstore raises into our errors; that there is no such object is for the caller to judge."""
        try:
            yield
        except AlreadyExistsError as error:
            raise FileExistsError(name) from error
        except FileNotFoundError as error:
            if verb not in _OF_BUCKETS:
                raise
            raise self._judged(error, verb, name, is_denial=True) from error
        except (BaseError, OSError, ValueError) as error:
            raise self._judged(error, verb, name, is_denial=_DENIAL.search(str(error)) is not None) from error

    def _judged(self, error: Exception, verb: str, name: str, *, is_denial: bool) -> StorageError:
        sentence = f"Could not {verb} {self.uri}/{name}: {_reason(error)}."
        if is_denial:
            return DeniedError(sentence, remedy=self._remedy(verb))
        return FullError(sentence) if _FULL.search(str(error)) else StorageError(sentence)

    def _remedy(self, verb: str) -> str:
        if not isinstance(self._backend, LocalStore):
            return "Make sure that the bucket exists and that spec.credentials holds the keys to it."
        if verb in _WRITING:
            return f"Let user {os.getuid()} write there, mount it writable, or name another folder in storage.uri."
        return f"Let user {os.getuid()} read it, or name another folder."


_OF_BUCKETS = {"create", "write", "list"}
"""Where nothing can be missing but the bucket itself."""
_DENIAL = re.compile(r"status code: 40[134]\b|\(os error (13|20|30)\)")
"""Of obstore's text: it has a class of its own for some of these answers, but none for those to a list. Of a folder: it
is closed, none, or on a file system for reading alone."""
_FULL = re.compile(r"\(os error (28|122)\)")
"""No room on the file system, or none left to this user."""
_WRITING = {"create", "write", "delete"}
_ANSWER = re.compile(r"<\?xml.*", re.DOTALL)
_CODE = re.compile(r"<Code>(\w+)</Code>")


def _reason(error: Exception) -> str:
    """The first part of obstore's text; of a server's answer the code alone, since it repeats keys and signatures."""
    text = str(error).split("\n\nDebug source", maxsplit=1)[0]
    code = _CODE.search(text)
    return _ANSWER.sub(code.group(1) if code else "", text).rstrip(". :\n")


def _split(uri: str) -> tuple[str, str, str]:
    """Scheme, bucket and path of an address; a bare path is a folder."""
    parts = urlsplit(uri) if "://" in uri else None
    if parts is None:
        return "file", "", uri
    if parts.scheme == "file":
        return "file", "", uri.removeprefix("file://")
    if parts.scheme == "pvc" and _CLAIMS in os.environ:
        return "file", "", f"{os.environ[_CLAIMS]}/{uri.removeprefix('pvc://')}"
    if parts.scheme not in {"s3", "gs", "az"}:
        raise RefusedError(
            f"{uri} cannot be opened: {parts.scheme}:// is no store of this release; use s3, gs, az or file,"
            " and pvc in a pod of a cluster."
        )
    return parts.scheme, parts.netloc, uri.split(parts.netloc, maxsplit=1)[1]


@cache
def _folders() -> Any:
    return LocalStore(automatic_cleanup=True)  # a bucket has no empty folders either


@cache
def _bucket(url: str) -> Any:
    """The bucket, with keys and endpoint from the environment, as each provider's own tools read them."""
    try:
        return from_url(
            url,
            client_options={"timeout": REQUEST_TIMEOUT, "connect_timeout": CONNECT_TIMEOUT, "allow_http": True},
            retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT},
        )
    except BaseError as error:
        raise RefusedError(f"{url} cannot be opened: {_reason(error)}. Complete spec.credentials.") from error
