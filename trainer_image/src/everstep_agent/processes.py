"""The processes of a worker: its fork server, the spares that it makes, and the ranks that spares become."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from everstep_agent.backoff import Backoff
from everstep_agent.events import Ended, Event, ForkServerLost, Said, SparesCounted
from everstep_agent.fork_server import ForkServer
from everstep_agent.lastwords import Ending
from everstep_agent.lines import Line, Listener, Stranger
from everstep_agent.output import Output
from everstep_agent.rank import Rank
from everstep_api.wire.ranks import Enter, Exited, FromRank, Hello, ServerReady, ToRank, Warm

_HELLO_TIMEOUT_S = 10.0
"""A fork takes 17 ms. A process that dies before it has connected is known by nothing else."""
_WARM_TIMEOUT_S = 120.0
"""A spare is warm after half a second; on a node whose processors are taken it may be a hundred times that."""


@dataclass(slots=True, kw_only=True)
class _Spare:
    """A process that was asked for."""

    output: Output
    deadline: asyncio.TimerHandle
    asked_s: float
    """When it was asked for, by the clock of the event loop."""
    rank: Rank | None = None
    """Absent until it has connected."""
    is_warm: bool = False


class Processes:
    """Spares by slot and ranks by slot. What happens to them is told; nothing is told within a call from outside."""

    def __init__(self, *, command: Sequence[str], folder: Path, happen: Callable[[Event], None]) -> None:
        self._folder = folder
        self._happen = happen
        self.start_seconds: dict[str, float] = {}
        """How long the start of this process's first ranks took, by stage: `imports`, then `rehearsal`."""
        self._server = ForkServer(command, ready=self._hear_server, exited=self._hear_exit, lost=self._lose_server)
        self._server_asked_s = 0.0
        self._wanted = 0
        self._spares: dict[int, _Spare] = {}
        self._ranks: dict[int, Rank] = {}
        self._by_pid: dict[int, Rank] = {}
        self._failures = 0
        self._backoff = Backoff(first_s=0.1, longest_s=30.0)
        self._retry: asyncio.TimerHandle | None = None
        self._numbers = itertools.count()

    @property
    def ranks(self) -> dict[int, int]:
        """Process id of each rank of the world, by its slot."""
        return {slot: rank.pid for slot, rank in self._ranks.items()}

    def keep_spares(self, wanted: int) -> None:
        """Have one spare in each of the slots below `wanted`, now and whenever one is used or dies."""
        self._wanted = wanted
        for slot in [slot for slot in self._spares if slot >= wanted]:
            self._drop(slot)
        if wanted and not self._server.is_started:
            for left_over in self._folder.glob("output-*"):
                left_over.unlink()
            self._server_asked_s = asyncio.get_running_loop().time()
            self._server.start()
        self._fill()

    def enter(self, messages: Mapping[int, Enter]) -> None:
        """Make the warm spares of these slots ranks; ranks of an older world end."""
        self.end_ranks()
        for slot, message in messages.items():
            spare = self._spares.pop(slot)
            if spare.rank is None:
                raise RuntimeError(f"The spare of slot {slot} has not connected, so it cannot enter.")
            self._ranks[slot] = spare.rank
            spare.rank.enter(message)

    def tell(self, slot: int, message: ToRank) -> None:
        """Send a message to the rank of a slot, if it is there."""
        if slot in self._ranks:
            self._ranks[slot].tell(message)

    def tell_all(self, message: ToRank) -> None:
        """Send a message to all ranks of the world."""
        for rank in self._ranks.values():
            rank.tell(message)

    def end_ranks(self) -> None:
        """Kill all ranks of the world."""
        for rank in self._ranks.values():
            rank.kill()
        self._ranks.clear()

    def close(self) -> None:
        """Kill everything."""
        self._wanted = 0
        if self._retry is not None:
            self._retry.cancel()
        self.end_ranks()
        for slot in list(self._spares):
            self._drop(slot)
        self._server.kill()

    def greet(self, message: ServerReady | Hello, line: Line) -> Listener:
        """Take up the connection of a process."""
        if isinstance(message, ServerReady):
            return self._server.greet(message, line)
        spare = self._spares.get(message.slot)
        if spare is None or spare.rank is not None:
            line.close()  # it was given up before it came, and ends with its connection
            return Stranger()
        spare.rank = Rank(message, line, spare.output, said=self._hear, ended=self._end)
        self._by_pid[message.pid] = spare.rank
        spare.deadline.cancel()
        spare.deadline = asyncio.get_running_loop().call_later(_WARM_TIMEOUT_S, self._fail, message.slot)
        return spare.rank

    def reaped(self, pid: int, exit_code: int) -> None:
        """Take up the end of a child of this process."""
        self._server.reaped(pid, exit_code)

    def _hear_server(self) -> None:
        self.start_seconds["imports"] = asyncio.get_running_loop().time() - self._server_asked_s
        self._fill()

    def _fill(self) -> None:
        if not self._server.is_ready or self._retry is not None:
            return
        for slot in range(self._wanted):
            if slot not in self._spares:
                path = self._folder / f"output-{next(self._numbers)}"
                loop = asyncio.get_running_loop()
                deadline = loop.call_later(_HELLO_TIMEOUT_S, self._fail, slot)
                self._spares[slot] = _Spare(output=Output.named(path), deadline=deadline, asked_s=loop.time())
                self._server.fork(slot, path)

    def _hear(self, rank: Rank, message: FromRank) -> None:
        if rank.world is not None:
            self._happen(Said(world=rank.world, slot=rank.slot, message=message))
        elif isinstance(message, Warm):
            spare = self._spares[rank.slot]
            spare.is_warm = True
            self.start_seconds.setdefault("rehearsal", asyncio.get_running_loop().time() - spare.asked_s)
            spare.deadline.cancel()
            self._failures = 0
            self._backoff.reset()
            self._count()

    def _hear_exit(self, message: Exited) -> None:
        if message.pid in self._by_pid:
            self._by_pid[message.pid].exited(message)

    def _end(self, rank: Rank, ending: Ending) -> None:
        self._by_pid.pop(rank.pid, None)
        if not rank.is_wanted:
            return
        if rank.world is None:
            self._fail(rank.slot)
        else:
            self._happen(Ended(world=rank.world, slot=rank.slot, ending=ending))

    def _fail(self, slot: int) -> None:
        self._failures += 1
        self._drop(slot)
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(self._backoff.take(), self._try_again)
        self._count()

    def _try_again(self) -> None:
        self._retry = None
        self._fill()

    def _drop(self, slot: int) -> None:
        spare = self._spares.pop(slot)
        spare.deadline.cancel()
        if spare.rank is not None:
            spare.rank.kill()
        else:
            spare.output.close()

    def _count(self) -> None:
        warm = frozenset(slot for slot, spare in self._spares.items() if spare.is_warm)
        self._happen(SparesCounted(warm=warm, failures=self._failures))

    def _lose_server(self, sentence: str, last_words: str) -> None:
        self._happen(ForkServerLost(sentence=sentence, last_words=last_words))
