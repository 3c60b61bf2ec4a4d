"""What a cluster's folder remembers of it, and how a new cluster finds its place beside the others."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from devcluster.problem import DevclusterError
from devcluster.settings import DEFAULT_NODES, MAX_NODES, SLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A cluster's size and place."""

    slot: int
    nodes: int
    fingerprint: str
    """Of the programs and of this package: a cluster that others started is started anew."""

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return the record in `folder`, if there is one.

        Raises:
            DevclusterError: it cannot be read, as after a change of this package.
        """
        path = folder / "cluster.json"
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise DevclusterError(
                f"{path} cannot be read; run `python -m devcluster down --name {folder.name}`, then `up` again."
            ) from None

    def write(self, folder: Path) -> None:
        """Keep it in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / "cluster.json.draft"
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(folder / "cluster.json")


def settle(
    name: str, known: Record | None, *, nodes: int | None, slot: int | None, fingerprint: str, taken: Mapping[int, str]
) -> Record:
    """Return what cluster `name` becomes when these nodes and this slot are asked for.

    Args:
        name: its name.
        known: what it is, if it is there.
        nodes: how many; absent: as many as it has, or 3.
        slot: which address ranges; absent: those that it has, or the first that nobody has taken.
        fingerprint: of what it is started with.
        taken: the other clusters, by their slots.

    Raises:
        DevclusterError: it cannot be had.
    """
    wanted = nodes if nodes is not None else known.nodes if known else DEFAULT_NODES
    if not 1 <= wanted <= MAX_NODES:
        raise DevclusterError(f"{wanted} nodes are asked for; choose 1 to {MAX_NODES}.")
    if slot is not None and not 0 <= slot < SLOTS:
        raise DevclusterError(f"Slot {slot} is asked for; choose 0 to {SLOTS - 1}.")
    if known and slot not in (None, known.slot):
        raise DevclusterError(f"Cluster {name} is in slot {known.slot}; run `down` before moving it.")
    if known and wanted < known.nodes:
        raise DevclusterError(f"Cluster {name} has {known.nodes} nodes; run `down` before making it smaller.")
    place = known.slot if known else slot if slot is not None else _first_free(taken)
    if place in taken:
        raise DevclusterError(
            f"Slot {place} is taken by cluster {taken[place]}; choose another one, or leave --slot out."
        )
    return Record(slot=place, nodes=wanted, fingerprint=fingerprint)


def _first_free(taken: Mapping[int, str]) -> int:
    for slot in range(SLOTS):
        if slot not in taken:
            return slot
    raise DevclusterError(f"All {SLOTS} slots are taken; remove a cluster with `down --name NAME`.")
