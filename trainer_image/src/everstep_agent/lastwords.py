"""How a rank was lost, in words: exit code, signal, exception and the last lines that it printed. Pure."""

import re
import signal
from dataclasses import dataclass

from everstep_api.wire.ranks import Fenced, Raised, Refused
from everstep_api.wire.sync import LONGEST_WORDS_BYTES, Failure, FailureCause

_LONGEST_MESSAGE_BYTES = 2_048
"""With the last words, and JSON writing six bytes for some characters of two, a report stays below its 64 kB."""
_TORCH_CONNECTIONS = "torch.distributed.Dist"
"""Begins the names of all exceptions by which torch tells of a broken connection, but for Gloo's."""
_GLOO = "gloo/transport/"
"""Gloo's are bare `RuntimeError`s that begin with the file they come from."""
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a process. Neither code nor signal: its connection closed, and nobody has told how it ended."""

    exit_code: int | None = None
    signal: int | None = None
    output: str = ""
    """The last lines that it printed."""


def describe(*, world: int, rank: int, ending: Ending, raised: Raised | None = None) -> Failure:
    """Return the failure of a rank that ended without a reason of its own, or by an exception."""
    words = ending.output
    if raised is not None and raised.traceback.strip() not in words:
        words = f"{words.rstrip()}\n{raised.traceback}".lstrip()
    return Failure(
        world=world,
        cause=_cause(ending, raised),
        rank=rank,
        exit_code=ending.exit_code,
        signal=ending.signal,
        exception=raised.exception if raised is not None else None,
        message=_shorten(raised.message if raised is not None else _sentence(rank, ending)),
        last_words=keep_end(words),
    )


def describe_word(message: Refused | Fenced, *, world: int, rank: int) -> Failure:
    """Return the failure of a rank that said itself why it ends."""
    match message:
        case Refused():
            sentence = _shorten(message.sentence)
            return Failure(world=world, cause=FailureCause.REFUSED, rank=rank, message=sentence)
        case Fenced():
            return Failure(
                world=world,
                cause=FailureCause.FENCED,
                rank=rank,
                message=f"World {message.world_seen} exists in the storage, so world {world} may not go on.",
                world_seen=message.world_seen,
            )


def name_signal(number: int) -> str:
    """Return a signal as people know it: `SIGKILL`, or its number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def keep_end(text: str) -> str:
    """Return the last 8 kB of what was printed, from a line's beginning on, without the codes that colour terminals."""
    plain = _TERMINAL_CODES.sub("", text)
    encoded = plain.encode(errors="replace")
    if len(encoded) <= LONGEST_WORDS_BYTES:
        return plain
    end = encoded[-LONGEST_WORDS_BYTES:]
    _, _, whole_lines = end.partition(b"\n")
    return (whole_lines or end).decode(errors="ignore")


def _cause(ending: Ending, raised: Raised | None) -> FailureCause:
    if raised is not None and (raised.exception.startswith(_TORCH_CONNECTIONS) or _GLOO in raised.message):
        return FailureCause.PEER_LOST
    return FailureCause.RANK_EXITED if ending.signal is None else FailureCause.RANK_KILLED


def _shorten(sentence: str) -> str:
    encoded = sentence.encode(errors="replace")
    if len(encoded) <= _LONGEST_MESSAGE_BYTES:
        return sentence
    return encoded[:_LONGEST_MESSAGE_BYTES].decode(errors="ignore") + "…"


def _sentence(rank: int, ending: Ending) -> str:
    if ending.signal is not None:
        return f"Rank {rank} was ended by {name_signal(ending.signal)}."
    if ending.exit_code is not None:
        return f"Rank {rank} ended with exit code {ending.exit_code}, in the middle of its work."
    return f"Rank {rank} closed its connection in the middle of its work, and was ended."
