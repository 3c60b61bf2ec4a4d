"""The ledger: one line for each committed step, in `ledger/<world>-<step>.jsonl` of the job's folder.

A file has the lines since the durable checkpoint before. It is put before its checkpoint's manifest, so that a
checkpoint that exists has all of its lines; lines of steps that a later world repeats are void by the fence's rule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from everstep_api.wire.decode import MalformedMessageError, decode, encode
from everstep_api.wire.sync import StatePoint
from everstep_trainer.errors import DamagedError
from everstep_trainer.objects import Store

FOLDER = "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A step that a world took."""

    step: int
    world: int
    rows: tuple[int, ...]
    """The rows of the plan from the first number to below the second."""
    targets: int
    """Tokens that the step's loss was divided by."""
    digest: int
    """Of the rows that the ranks ate, as the step's reduction summed it."""
    is_skipped: bool = False
    """Whether nothing was learnt of the rows because a number was none."""


def name_of(point: StatePoint) -> str:
    """The name of the file that ends with this state."""
    return f"{FOLDER}/{point.world}-{point.step}.jsonl"


def to_text(lines: Sequence[Line]) -> bytes:
    """A file of the ledger."""
    return b"".join(encode(line) + b"\n" for line in lines)


def read_ledger(run: Store) -> list[Line]:
    """All lines in the job's folder, void ones too, in the order of worlds and steps.

    Raises:
        DamagedError: a line cannot be read.
    """
    names = [entry.name for entry in run.entries(FOLDER)]
    lines = [line for name in names for line in from_text(run.get(name), f"{run.uri}/{name}")]
    return sorted(set(lines), key=lambda line: (line.world, line.step))


def from_text(text: bytes, name: str) -> Iterator[Line]:
    """The lines of a file of the ledger.

    Raises:
        DamagedError: a line cannot be read.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            yield decode(line, Line)
        except MalformedMessageError as error:
            raise DamagedError(f"Line {number} of {name} is damaged: {error}.") from error
