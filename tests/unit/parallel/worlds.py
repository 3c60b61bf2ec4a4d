"""Worlds of real processes with Gloo, for tests: forked from a server that has imported the trainer, as in a worker."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from everstep_trainer.parallel.world import Place, Sharding, World, enter, join_store, open_store

TIMEOUT_S = 60.0
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_world(
    size: int, work: Callable[..., Any], *args: Any, number: int = 1, sharding: Sharding = "full", per_worker: int = 1
) -> list[Any]:
    """What `work(world, *args)` returns on each rank of a fresh world; an exception of a rank fails the test."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["everstep_trainer.optim", "transformers.models.llama.modeling_llama"])
    store = open_store(timeout_s=TIMEOUT_S)
    ranks = []
    for rank in range(size):
        place = Place(
            world=number,
            rank=rank,
            size=size,
            local_rank=rank % per_worker,
            ranks_per_worker=per_worker,
            host="127.0.0.1",
        )
        ours, theirs = context.Pipe()
        keywords = {"place": place, "port": store.port, "sharding": sharding, "work": work, "args": args}
        process = context.Process(target=_live, args=(theirs,), kwargs=keywords, daemon=True)
        process.start()
        theirs.close()
        ranks.append((ours, process))
    try:
        return [_result_of(ours) for ours, _ in ranks]
    finally:
        for ours, process in ranks:
            ours.close()
            process.kill()
            process.join(TIMEOUT_S)


def _result_of(ours: Connection) -> Any:
    if not ours.poll(TIMEOUT_S):
        raise TimeoutError("A rank gave no result.")
    try:
        result = ours.recv()
    except EOFError as error:
        raise RuntimeError("A rank died.") from error
    if isinstance(result, Exception):
        raise result
    return result


def _live(
    theirs: Connection, *, place: Place, port: int, sharding: Sharding, work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    try:
        store = join_store("127.0.0.1", port, timeout_s=TIMEOUT_S)
        world: World = enter(place, store, sharding=sharding, timeout_s=TIMEOUT_S)
        theirs.send(work(world, *args))
    except Exception as error:  # noqa: BLE001 - the test raises it again
        theirs.send(error)
    # The others may still be connecting to this rank: it stays until all results are there and the pipe is closed.
    theirs.poll(TIMEOUT_S)
    os._exit(0)
