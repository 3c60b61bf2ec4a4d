"""The memory tier of a worker: what it holds, what it has others hold, and whom it lets read that."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp

from everstep_agent.copies import Copies, find_inventories
from everstep_agent.events import CopySnapshot, SnapshotHeld
from everstep_agent.snapshots import Admission, Shelf
from everstep_api.wire.ranks import Held, Inventories, ToRank
from everstep_api.wire.snapshots import Inventory
from everstep_api.wire.sync import Run

_FIRST_SLOT = 0


class Holding:
    """Does what snapshots ask of an agent."""

    def __init__(
        self,
        folder: Path,
        *,
        pod_uid: str,
        address: Callable[[], str],
        session: aiohttp.ClientSession,
        group: asyncio.TaskGroup,
        tell: Callable[[int, ToRank], None],
        happen: Callable[[SnapshotHeld], None],
    ) -> None:
        """`tell` speaks to the rank of a slot, `happen` lets the agent know what is held."""
        self.shelf = Shelf(folder)
        self.admission = Admission()
        self._pod_uid = pod_uid
        self._address = address
        self._session = session
        self._group = group
        self._tell = tell
        self._happen = happen
        self._copies = Copies(session, self.shelf, group)
        self._search: asyncio.Task[None] | None = None
        self._names: dict[int, str] = {}
        """By slot, the name of the last snapshot of this world."""
        self._is_tidy = False
        """Whether what older worlds left was removed in this world."""

    def stem(self, slot: int) -> str:
        """Where the rank of a slot writes its snapshots."""
        return self.shelf.stem(self._pod_uid, slot)

    def enter(self, run: Run, place: int) -> None:
        """In the first member, find out what all holders have, and tell rank 0."""
        self.stop()
        if place == 0:
            self._search = self._group.create_task(self._find(run))

    def copy(self, order: CopySnapshot) -> None:
        """Bring a snapshot to the buddies; then its rank knows, and so does the operator.

        A rank writes its other file only when the last snapshot is held by all: what older worlds left is then useless.
        """
        slot, taken, run = order.slot, order.taken, order.run
        if not self._is_tidy and self._names.get(slot, taken.name) != taken.name:
            self._is_tidy = True
            self.shelf.tidy(run.world, own=self._pod_uid, slots=run.ranks_per_worker)
        self._names[slot] = taken.name

        def told(held: Held) -> None:
            self._tell(slot, held)
            if held.is_held:
                self._happen(SnapshotHeld(world=run.world, slot=slot, point=taken.point))

        self._copies.begin(run, order.place, slot, taken, told)

    def stop(self) -> None:
        """The world is over for this worker; what it holds stays."""
        self._names.clear()
        self._is_tidy = False
        self._copies.stop()
        if self._search is not None:
            self._search.cancel()
            self._search = None

    async def _find(self, run: Run) -> None:
        own = Inventory(address=self._address(), parts=self.shelf.parts())
        found = await find_inventories(self._session, run, own=own)
        self._tell(_FIRST_SLOT, Inventories(found=found))
