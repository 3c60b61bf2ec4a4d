"""Durable checkpoints: taken in the loop, brought into the storage beside it.

The loop waits for a copy of the state into a file of the cache alone. A thread then hashes and uploads the file and
puts `<rank>.json`; whichever rank then sees all parts writes the manifest. A thread and no process: a process forked
from one that computes or has used obstore hangs. It shares the interpreter, but hashing and uploading release it.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic

from torch import Tensor

from everstep_api.wire.decode import encode
from everstep_api.wire.ranks import Saved
from everstep_api.wire.sync import StatePoint
from everstep_trainer.data.ledger import Line, name_of, to_text
from everstep_trainer.errors import FencedError, StorageError
from everstep_trainer.objects import Store
from everstep_trainer.parallel.shard import Chunk
from everstep_trainer.state.fence import Fence
from everstep_trainer.state.layout import Layout, write
from everstep_trainer.state.manifest import BLOCK_BYTES, FORMAT, Counters, Manifest, Part, folder_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a manifest says of where a state comes from; the same on all ranks."""

    world: int
    ranks: int
    """Ranks that save: one for each shard, however many replicas there are."""
    recipe_hash: str
    plan_sha256: str
    versions: dict[str, str]


class Saver:
    """Saves one state at a time for one rank."""

    def __init__(
        self,
        *,
        run: Store,
        fence: Fence,
        origin: Origin,
        rank: int,
        folder: Path,
        committed: Callable[[Saved], None],
        tidy: Callable[[], None],
    ) -> None:
        """`committed` is told of each manifest that this rank wrote or found the same, `tidy` called after it."""
        self._run = run
        self._fence = fence
        self._origin = origin
        self._rank = rank
        self._folder = folder
        self._committed = committed
        self._tidy = tidy
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="save")
        self._upload: Future[None] | None = None
        self._ledger: dict[int, bytes] = {}
        """Lines of steps that may be in no file of the storage yet."""
        self._recorded_step = 0
        self._remove_leftovers()

    @property
    def is_busy(self) -> bool:
        """Whether the state before is still on its way."""
        return self._upload is not None and not self._upload.done()

    def check(self) -> None:
        """Learn what became of the upload, if it is over. A storage that is away is a warning: training goes on.

        Raises:
            FencedError: a later world exists.
        """
        if self._upload is not None and self._upload.done():
            self.wait()

    def wait(self) -> bool:
        """Wait until nothing is on its way; False when the last state did not reach the storage.

        Every request of the upload has its timeout and a number of repetitions, so this ends.

        Raises:
            FencedError: a later world exists.
        """
        if self._upload is None:
            return True
        try:
            self._upload.result()
        except (StorageError, OSError) as error:
            log.warning("A checkpoint was given up, the next one is tried when it is due: %s", error)
            return False
        finally:
            self._upload = None
        return True

    def note(self, line: Line) -> None:
        """Keep the ledger's line of a step; rank 0 brings it into the storage before the step can be committed."""
        self._ledger[line.step] = to_text([line])

    @property
    def unrecorded(self) -> str:
        """The ledger's lines of steps that may be in no file of the storage yet."""
        return b"".join(text for step, text in self._ledger.items() if step > self._recorded_step).decode()

    @property
    def recorded_step(self) -> int:
        """Rank 0: the last step whose line this world brought into the storage; the other ranks, and before it, 0."""
        return self._recorded_step

    def forget_lines(self, recorded_step: int) -> None:
        """All ranks: the lines up to this step are in the storage."""
        for step in [step for step in self._ledger if step <= recorded_step]:
            del self._ledger[step]

    def save(self, state: Iterable[tuple[Chunk, Tensor]], counters: Counters) -> None:
        """Take this rank's chunks, and start to bring them into the storage. The state may change when this returns."""
        self.wait()
        if self._rank >= self._origin.ranks:
            return  # another replica saves the same
        begin = monotonic()
        held = list(state)
        layout = Layout.of(chunk for chunk, _ in held)
        path = self._folder / f"{self._origin.world}-{counters.step}-{self._rank}.safetensors"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write(layout, (part for _, part in held), path)
        except OSError as error:
            self._upload = Future()
            self._upload.set_exception(error)
            return
        ledger = self.unrecorded.encode() if self._rank == 0 else b""
        self._upload = self._thread.submit(self._bring, layout, path, counters, ledger, begin)

    def _bring(self, layout: Layout, path: Path, counters: Counters, ledger: bytes, begin: float) -> None:
        """Upload the file, and commit the checkpoint if this is its last part."""
        point = StatePoint(world=self._origin.world, step=counters.step)
        folder = folder_of(point)
        if ledger:
            self._create(name_of(point), ledger)
            self._recorded_step = counters.step
        digests = digest_blocks(path)
        self._run.put(f"{folder}/{self._rank}.safetensors", path)
        path.unlink()
        part = Part(rank=self._rank, size_bytes=layout.size_bytes, sha256=digests, placed=layout.placed)
        self._create(f"{folder}/{self._rank}.json", encode(part))
        manifest = self._compose(folder, point, counters)
        if manifest is None:
            return  # a rank that comes later commits
        self._fence.check()
        self._create(f"{folder}/manifest.json", encode(manifest))
        self._committed(
            Saved(
                point=point,
                uri=f"{self._run.uri}/{folder}",
                commit_time=self._time_of(f"{folder}/manifest.json"),
                seconds=monotonic() - begin,
                size_bytes=manifest.size_bytes,
            )
        )
        self._tidy()

    def _remove_leftovers(self) -> None:
        """Delete what ranks of older worlds left in the cache when they were killed."""
        for path in self._folder.glob("*-*-*.safetensors"):
            world = path.name.partition("-")[0]
            if world.isdecimal() and int(world) < self._origin.world:
                path.unlink(missing_ok=True)

    def _compose(self, folder: str, point: StatePoint, counters: Counters) -> Manifest | None:
        """The manifest, once all parts are there."""
        sizes = {entry.name: entry.size_bytes for entry in self._run.entries(folder)}
        names = [f"{folder}/{rank}" for rank in range(self._origin.ranks)]
        if any(f"{name}.json" not in sizes for name in names):
            return None
        return Manifest(
            format=FORMAT,
            world=point.world,
            step=point.step,
            parts=tuple(sha256(self._run.get(f"{name}.json")).hexdigest() for name in names),
            size_bytes=sum(sizes[f"{name}.safetensors"] for name in names),
            counters=counters,
            recipe_hash=self._origin.recipe_hash,
            plan_sha256=self._origin.plan_sha256,
            versions=self._origin.versions,
        )

    def _time_of(self, name: str) -> str:
        """When the storage got the object: the one time on which all ranks agree."""
        entry = self._run.head(name)
        if entry is None:
            raise StorageError(f"{self._run.uri}/{name} is gone as soon as it was written.")
        return datetime.fromtimestamp(entry.modified_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _create(self, name: str, content: bytes) -> None:
        """Create the object or find it the same; one that differs was written by another process of this number."""
        if not self._run.put_if_absent(name, content):
            self._fence.check()
            raise FencedError(own=self._origin.world, seen=self._origin.world)


def digest_blocks(path: Path) -> tuple[str, ...]:
    """sha256 of each block of the file; the last one may be shorter."""
    digests = []
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digests.append(sha256(block).hexdigest())
    return tuple(digests)
