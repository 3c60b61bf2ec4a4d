"""One world as one of its ranks sees it: its store, its group, its mesh.

A world has a store of its own on a fresh port, so that nothing of an older one can be met there. Nothing is ever shut
down: a rank leaves by dying, and a rank that is stuck in a collective is killed (DESIGN 4.2).
"""

import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from torch import Tensor
from torch import distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined] # exported, but not in torch's annotations
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

Sharding = Literal["full", "hybrid", "none"]
"""Weights are spread over all ranks, over those of each worker, or not at all."""

_INTERFACE = "GLOO_SOCKET_IFNAME"
_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of an interface (netdevice(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which rank of which world a process is."""

    world: int
    rank: int
    size: int
    local_rank: int
    ranks_per_worker: int
    host: str
    """Address under which the other workers reach this one."""

    @property
    def is_first(self) -> bool:
        """Whether this rank speaks for the world."""
        return self.rank == 0


class World:
    """The ranks that train together. Collectives are called by all of them in the same order."""

    def __init__(self, place: Place, store: Store | None, mesh: DeviceMesh | None) -> None:
        self.place = place
        self._store = store
        self._mesh = mesh

    @classmethod
    def alone(cls) -> "World":
        """A world of one rank without a group, for what is computed outside of a job; no model can be spread in it."""
        return cls(Place(world=0, rank=0, size=1, local_rank=0, ranks_per_worker=1, host="127.0.0.1"), None, None)

    @property
    def rank(self) -> int:
        """This rank's number, from 0."""
        return self.place.rank

    @property
    def size(self) -> int:
        """How many ranks the world has."""
        return self.place.size

    @property
    def mesh(self) -> DeviceMesh:
        """The ranks, as weights are spread over them: in one dimension, or in two as (replica, shard)."""
        if self._mesh is None:
            raise RuntimeError("This world has no group: it was made by `alone`, for work outside of a job.")
        return self._mesh

    @property
    def replicas(self) -> int:
        """How many times the world holds each weight."""
        return 1 if self._mesh is None or self._mesh.ndim == 1 else self._mesh.size(0)

    @property
    def is_first_replica(self) -> bool:
        """Whether this rank's shards are those that are saved."""
        return self.replicas == 1 or self.mesh.get_local_rank(0) == 0

    def all_reduce(self, vector: Tensor) -> Tensor:
        """The sum of the ranks' vectors, the same bits on each of them; the argument stays as it is."""
        total = vector.clone()
        if self._mesh is not None:
            dist.all_reduce(total)
        return total

    def tell(self, topic: str, say: Callable[[], bytes], *, timeout_s: float) -> bytes:
        """What rank 0 says about the topic, on every rank. Only rank 0 calls `say`; the others wait for it.

        Each topic is told once in a world.

        Raises:
            RuntimeError: rank 0 said nothing within the time, or is gone.
        """
        if self._store is None:
            return say()
        key = f"told/{topic}"
        if self.place.is_first:
            said = say()
            self._store.set(key, said)  # type: ignore[arg-type] # bytes work; torch's annotation has str
            return said
        self._store.wait([key], timedelta(seconds=timeout_s))
        return bytes(self._store.get(key))


def open_store(*, timeout_s: float) -> TCPStore:
    """Rank 0: a store for this world alone, on a free port of all addresses of this machine."""
    return TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=timeout_s), use_libuv=True
    )


def join_store(host: str, port: int, *, timeout_s: float) -> TCPStore:
    """The other ranks: the store that rank 0 opened."""
    return TCPStore(host, port, is_master=False, timeout=timedelta(seconds=timeout_s), use_libuv=True)


def enter(place: Place, store: TCPStore, *, sharding: Sharding, timeout_s: float) -> World:
    """Become a rank of the world: returns once all of its ranks have.

    The groups of the mesh are made here, in one order on all ranks, and nowhere else. The timeout bounds each
    collective. It is a last resort: the agent sees a standstill before that.
    """
    shards = {"full": place.size, "hybrid": place.ranks_per_worker, "none": 1}[sharding]
    shape, names = (
        ((place.size,), ("shard",)) if shards == place.size else ((place.size // shards, shards), ("replica", "shard"))
    )
    with _gloo_bound_to(place.host):
        dist.init_process_group(
            "gloo",
            store=PrefixStore(f"world-{place.world}", store),
            rank=place.rank,
            world_size=place.size,
            timeout=timedelta(seconds=timeout_s),
        )
        return World(place, store, init_device_mesh("cpu", shape, mesh_dim_names=names))


def leave_rehearsal() -> None:
    """Close the group of a rehearsal, so that the process can enter its world; worlds themselves are never closed."""
    dist.destroy_process_group()


@contextmanager
def _gloo_bound_to(host: str) -> Iterator[None]:
    """Let Gloo use the interface that has the worker's own address, unless the environment names another.

    By itself it looks up the machine's name, which many machines and pods cannot resolve to an address that others
    reach.
    """
    interface = None if _INTERFACE in os.environ else _interface_of(socket.gethostbyname(host))
    if interface is None:
        yield
        return
    os.environ[_INTERFACE] = interface
    try:
        yield
    finally:
        del os.environ[_INTERFACE]  # a rehearsal is over another interface than its world


def _interface_of(address: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # an interface without an IPv4 address
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None
