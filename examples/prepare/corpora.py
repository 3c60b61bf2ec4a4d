"""The files of text: chats to fine-tune on, chats held out from them, and plain text for a model from scratch.

A corpus is JSON lines in the order of a hash of the line: every beginning of the file is a fair sample of all of it,
which is what `maxSamples` takes.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from examples.prepare.library import Module
from examples.prepare.pairs import Pair

HELD_OUT_OF = 10
"""One package in so many is held out, as a whole: functions of one package resemble each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """JSON lines."""

    records: int
    content: bytes


def docstrings(found: Iterable[Pair]) -> tuple[Corpus, Corpus]:
    """Chats in which the user shows a function and the assistant says what it does: to train on, and held out.

    No code occurs twice. What is held out shares no package, no code and no answer with what is trained on.
    """
    unique: dict[str, Pair] = {}
    for pair in found:
        unique.setdefault(pair.code, pair)
    train = [pair for pair in unique.values() if not is_held_out(pair.package)]
    answers = {pair.answer for pair in train}
    held_out = [pair for pair in unique.values() if is_held_out(pair.package) and pair.answer not in answers]
    return _corpus(map(_chat, train)), _corpus(map(_chat, held_out))


def sources(library: Iterable[Module]) -> Corpus:
    """The modules themselves, one in each record."""
    return _corpus({"text": module.text} for module in library)


def is_held_out(package: str) -> bool:
    """Whether the package's functions are for evaluation; decided by its name alone, so that it never changes sides."""
    return int.from_bytes(hashlib.sha256(package.encode()).digest()[:8], "big") % HELD_OUT_OF == 0


def _chat(pair: Pair) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": pair.code}, {"role": "assistant", "content": pair.answer}]}


def _corpus(records: Iterable[dict[str, Any]]) -> Corpus:
    lines = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records]
    return Corpus(records=len(lines), content=b"".join(sorted(lines, key=lambda line: hashlib.sha256(line).digest())))
