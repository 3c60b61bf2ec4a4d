"""What a durable checkpoint is made of, as JSON.

    ckpt/<world>-<step>/<rank>.safetensors   the tensors of a rank
    ckpt/<world>-<step>/<rank>.json          a `Part`: where they lie in it, and its digests
    ckpt/<world>-<step>/manifest.json        a `Manifest`: the digests of all parts, and the counters

The manifest is the commit: without a valid one a checkpoint does not exist. Everything in it is the same on whichever
rank writes it, so that writers who race write the same bytes.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from everstep_api.wire.decode import MalformedMessageError, decode
from everstep_api.wire.sync import Evaluated, StatePoint
from everstep_trainer.errors import DamagedError
from everstep_trainer.objects import Store
from everstep_trainer.state.layout import Placed

FORMAT = 1
FOLDER = "ckpt"
BLOCK_BYTES = 64 * 1024 * 1024
"""A digest is taken of each so many bytes of a file: as much as is read, and may be lost, at a time."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Everything of a training state that is no tensor."""

    step: int
    """The last step that is in the state."""
    updates: int
    """How often the weights were changed: steps whose numbers were all finite."""
    next_row: int
    """The first row of the plan that is not in the state."""
    skipped: tuple[tuple[int, ...], ...] = ()
    """Ranges of rows, [from, to), of which nothing was learnt because a number was none."""
    tokens: int = 0
    """Targets that were learnt from."""
    evaluation: Evaluated | None = None
    """The newest evaluation; it is of this very state when its step is."""
    best: Evaluated | None = None
    """The best evaluation of a trained state so far."""
    before: Evaluated | None = None
    """The evaluation before the first step of the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One rank's file."""

    rank: int
    size_bytes: int
    sha256: tuple[str, ...]
    """Of each block of the file."""
    placed: tuple[Placed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole checkpoint."""

    format: int
    world: int
    step: int
    parts: tuple[str, ...]
    """sha256 of each `<rank>.json`, by rank."""
    size_bytes: int
    counters: Counters
    recipe_hash: str
    plan_sha256: str
    versions: dict[str, str]

    @property
    def point(self) -> StatePoint:
        """The state that it holds."""
        return StatePoint(world=self.world, step=self.step)


def folder_of(point: StatePoint) -> str:
    """The checkpoint's folder below the job's."""
    return f"{FOLDER}/{point.world}-{point.step}"


def points_in(run: Store) -> list[StatePoint]:
    """The states of which something lies in the storage, newest first; not all need be whole."""
    points = []
    for name in run.folders(FOLDER):
        world, _, step = name.partition("-")
        if world.isdecimal() and step.isdecimal():
            points.append(StatePoint(world=int(world), step=int(step)))
    return sorted(points, key=lambda point: (point.world, point.step), reverse=True)


def read_manifest(run: Store, point: StatePoint) -> Manifest | None:
    """The checkpoint's manifest, or None where it was not committed.

    Raises:
        DamagedError: there is one, but not of this format or not of this state.
    """
    name = f"{folder_of(point)}/manifest.json"
    text = run.find(name)
    if text is None:
        return None
    manifest = _read(text, Manifest, f"{run.uri}/{name}")
    if manifest.format != FORMAT or manifest.point != point:
        raise DamagedError(
            f"{run.uri}/{name} is of format {manifest.format}, world {manifest.world}, step {manifest.step}; expected"
            f" are format {FORMAT}, world {point.world}, step {point.step}."
        )
    return manifest


def read_parts(run: Store, manifest: Manifest) -> list[Part]:
    """All parts of the checkpoint, each proved by the manifest's digest.

    Raises:
        DamagedError: one is missing or not what was committed.
    """
    parts = []
    for rank, digest in enumerate(manifest.parts):
        name = f"{folder_of(manifest.point)}/{rank}.json"
        text = run.find(name)
        if text is None or sha256(text).hexdigest() != digest:
            how = "is missing" if text is None else "is not what was committed"
            raise DamagedError(f"{run.uri}/{name} {how}.")
        parts.append(_read(text, Part, f"{run.uri}/{name}"))
    return parts


def _read(text: bytes, wanted: type[T], name: str) -> T:
    try:
        return decode(text, wanted)  # type: ignore[no-any-return] # decode checks that it is of the type
    except MalformedMessageError as error:
        raise DamagedError(f"{name} is damaged: {error}.") from error
