"""What a record says: a chat or a text, as tokens with their loss mask."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, assert_never

import numpy as np
import numpy.typing as npt

from everstep_api.data import Fields
from everstep_trainer.data.masks import Chats, Tokenizer
from everstep_trainer.errors import MalformedRecordError

Format = Literal["chat", "text"]
LossOn = Literal["assistant", "all"]
OnTooLong = Literal["truncate", "split", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Tokens that see one another, and of which of them the loss is taken."""

    tokens: npt.NDArray[np.int64]
    has_loss: npt.NDArray[np.bool_]

    @property
    def targets(self) -> int:
        """Tokens that are predicted and count: the first one has nothing before it."""
        return int(self.has_loss[1:].sum())


class Reader(Protocol):
    """Makes a document of a record.

    Raises:
        MalformedRecordError: the record is malformed; the text continues "Line 7 of s3://…" and says what to change.
    """

    def __call__(self, record: dict[str, Any]) -> Document:
        """Return what the record says."""


def format_of(record: dict[str, Any], fields: Fields) -> Format:
    """The format of a source whose first record this is.

    Raises:
        MalformedRecordError: the record has neither field.
    """
    if fields.messages in record:
        return "chat"
    if fields.text in record:
        return "text"
    known = ", ".join(sorted(map(repr, record))) or "none"
    raise MalformedRecordError(
        f"has neither the field {fields.messages!r} of a chat nor {fields.text!r} of a text (its fields: {known});"
        " name the field in the source's `fields`"
    )


def reader_of(format_: Format, *, fields: Fields, loss_on: LossOn, tokenizer: Tokenizer, chats: Chats | None) -> Reader:
    """The reader for a source; `chats` is needed for the format `chat`."""
    match format_:
        case "chat":
            if chats is None:
                raise MalformedRecordError("is a chat, for which there is no template")
            return lambda record: _read_chat(record, fields.messages, chats, loss_on)
        case "text":
            return lambda record: _read_text(record, fields.text, tokenizer)
        case _:
            assert_never(format_)


def _read_chat(record: dict[str, Any], field: str, chats: Chats, loss_on: LossOn) -> Document:
    messages = _field(record, field)
    if not isinstance(messages, list) or not messages:
        raise MalformedRecordError(f"has {_shown(messages)} in {field!r} where a list of messages is expected")
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise MalformedRecordError(f"has no role in {field}[{place}]; a message is {{role, content}}")
        if not isinstance(message.get("content"), str):
            raise MalformedRecordError(
                f"has {_shown(message.get('content'))} as content of {field}[{place}]; write a text there"
            )
    rendered = chats.render(messages, with_mask=loss_on == "assistant")
    return Document(tokens=np.array(rendered.tokens, dtype=np.int64), has_loss=np.array(rendered.has_loss, dtype=bool))


def _read_text(record: dict[str, Any], field: str, tokenizer: Tokenizer) -> Document:
    text = _field(record, field)
    if not isinstance(text, str):
        raise MalformedRecordError(f"has {_shown(text)} in {field!r} where a text is expected")
    tokens: list[int] = tokenizer(text)["input_ids"]
    end = tokenizer.eos_token_id
    if end is not None and tokens and tokens[-1] != end:
        tokens = [*tokens, end]
    return Document(tokens=np.array(tokens, dtype=np.int64), has_loss=np.ones(len(tokens), dtype=bool))


def _field(record: dict[str, Any], field: str) -> Any:
    if field not in record:
        raise MalformedRecordError(
            f"has no field {field!r} (its fields: {', '.join(sorted(map(repr, record))) or 'none'})"
        )
    return record[field]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - as much as a sentence bears


def fit(document: Document, max_length: int, on_too_long: OnTooLong) -> Sequence[Document]:
    """The document as rows can hold it: itself, its beginning, its pieces, or nothing."""
    length = len(document.tokens)
    if length <= max_length:
        return [document]
    match on_too_long:
        case "truncate":
            starts = range(1)
        case "split":
            starts = range(0, length, max_length)
        case "drop":
            return []
        case _:
            assert_never(on_too_long)
    return [
        Document(
            tokens=document.tokens[start : start + max_length], has_loss=document.has_loss[start : start + max_length]
        )
        for start in starts
    ]


def fingerprint(record: dict[str, Any], field: str) -> int:
    """64 bits of what the record says, whatever the tokenizer, the order of its keys and its other fields."""
    content = json.dumps(record.get(field), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return int.from_bytes(hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
