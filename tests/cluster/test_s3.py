"""The object store holds what real ones hold: above all, that of many simultaneous writers exactly one wins."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from devcluster.cluster import NamespacesCluster
from devcluster.provider import Cluster

CLIENTS = 8
ROUNDS = 100
PART_BYTES = 5 * 1024**2  # S3's smallest part

Connect = Callable[[], S3Store]


@pytest.fixture(scope="module")
def connect(cluster: Cluster) -> Iterator[Connect]:
    """Makes clients, each with connections of its own and without retries, which would hide a failure."""
    s3 = cluster.s3
    with s3.reach() as endpoint:
        yield lambda: S3Store(
            s3.bucket,
            endpoint=endpoint,
            region=s3.region,
            access_key_id=s3.access_key,
            secret_access_key=s3.secret_key,
            client_options={"allow_http": True, "timeout": "30s"},
            retry_config={"max_retries": 0},
        )


@pytest.fixture
def prefix(request: pytest.FixtureRequest, connect: Connect) -> Iterator[str]:
    """Names of objects that are this test's own; they go with it."""
    own = f"tests/{request.node.name}"
    yield own
    store = connect()
    for page in obstore.list(store, prefix=own):
        obstore.delete(store, [found["path"] for found in page])


def race(contestants: list[Callable[[], object]]) -> Counter[str]:
    """Let all start at the same moment; count "won" and the names of the errors of those that did not."""
    start = threading.Barrier(len(contestants))

    def run(contestant: Callable[[], object]) -> str:
        start.wait(timeout=30)
        try:
            contestant()
        except BaseError as error:
            return type(error).__name__
        return "won"

    with ThreadPoolExecutor(len(contestants)) as pool:
        return Counter(pool.map(run, contestants))


# -- one of many wins -------------------------------------------------------------------------------------------------


def test_of_eight_clients_that_create_one_object_exactly_one_wins_a_hundred_times(
    connect: Connect, prefix: str
) -> None:
    stores = [connect() for _ in range(CLIENTS)]
    for number in range(ROUNDS):
        key = f"{prefix}/{number}"
        bodies = [f"client {client} of round {number}".encode() for client in range(CLIENTS)]
        pairs = zip(stores, bodies, strict=True)
        outcome = race([partial(obstore.put, store, key, body, mode="create") for store, body in pairs])
        assert outcome == {"won": 1, AlreadyExistsError.__name__: CLIENTS - 1}, f"round {number}"
        assert bytes(obstore.get(stores[0], key).bytes()) in bodies


def test_of_eight_clients_that_replace_one_version_exactly_one_wins_a_hundred_times(
    connect: Connect, prefix: str
) -> None:
    stores = [connect() for _ in range(CLIENTS)]
    version = obstore.put(stores[0], prefix, b"first")["e_tag"]
    for number in range(ROUNDS):
        bodies = [f"client {client} of round {number}".encode() for client in range(CLIENTS)]
        pairs = zip(stores, bodies, strict=True)
        outcome = race([partial(obstore.put, store, prefix, body, mode={"e_tag": version}) for store, body in pairs])
        assert outcome == {"won": 1, PreconditionError.__name__: CLIENTS - 1}, f"round {number}"
        version = obstore.head(stores[0], prefix)["e_tag"]


def test_a_replaced_version_cannot_be_replaced_again(connect: Connect, prefix: str) -> None:
    store = connect()
    old = obstore.put(store, prefix, b"old")["e_tag"]
    obstore.put(store, prefix, b"new", mode={"e_tag": old})
    with pytest.raises(PreconditionError):
        obstore.put(store, prefix, b"too late", mode={"e_tag": old})
    assert bytes(obstore.get(store, prefix).bytes()) == b"new"


def test_nothing_comes_between_the_check_and_the_write_of_a_create(connect: Connect, prefix: str) -> None:
    """A plain put that ends before a create must make it fail; one that ends after it must overwrite it."""
    creator, writer = connect(), connect()
    for number in range(ROUNDS):
        key = f"{prefix}/{number}"
        race(
            [
                partial(obstore.put, creator, key, b"created", mode="create"),
                partial(obstore.put, writer, key, b"written"),
            ]
        )
        assert bytes(obstore.get(creator, key).bytes()) == b"written", f"round {number}"


# -- what a store does ------------------------------------------------------------------------------------------------


def test_an_object_that_was_put_in_parts_comes_back_whole_and_by_ranges(connect: Connect, prefix: str) -> None:
    store = connect()
    content = bytes(range(256)) * (PART_BYTES // 64)  # 20 MiB: four parts
    obstore.put(store, prefix, content, use_multipart=True, chunk_size=PART_BYTES)
    assert bytes(obstore.get(store, prefix).bytes()) == content
    starts, length = [0, PART_BYTES - 3, len(content) - 7], 7
    ranges = obstore.get_ranges(store, prefix, starts=starts, lengths=[length] * len(starts))
    assert [bytes(found) for found in ranges] == [content[start : start + length] for start in starts]


def test_a_list_holds_every_object_below_a_prefix_and_no_other(connect: Connect, prefix: str) -> None:
    """More than S3 puts on one page, which has 1,000."""
    store = connect()
    names = {f"{prefix}/in/{number:04}" for number in range(1100)}
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda name: obstore.put(store, name, b""), [*names, f"{prefix}/out"]))
    assert {found["path"] for page in obstore.list(store, prefix=f"{prefix}/in") for found in page} == names


def test_a_list_never_shows_a_half_written_object(connect: Connect, prefix: str) -> None:
    """An object is replaced while it is listed: no temporary name of the server's may show."""
    store, lister = connect(), connect()
    obstore.put(store, f"{prefix}/object", b"first")
    seen: set[str] = set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [obstore.put(store, f"{prefix}/object", b"x" * 1000) for _ in range(300)])
        while not writing.done():
            seen |= {found["path"] for page in obstore.list(lister, prefix=f"{prefix}/") for found in page}
        writing.result()
    assert seen == {f"{prefix}/object"}


# -- faults -----------------------------------------------------------------------------------------------------------


def test_a_stopped_store_refuses_and_a_started_one_has_its_data(
    namespaces_cluster: NamespacesCluster, connect: Connect, prefix: str
) -> None:
    store = connect()
    obstore.put(store, prefix, b"kept")
    namespaces_cluster.s3.stop()
    with pytest.raises(BaseError):
        obstore.get(store, prefix)
    namespaces_cluster.s3.start()
    assert bytes(obstore.get(store, prefix).bytes()) == b"kept"
