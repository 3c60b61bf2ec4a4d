"""Chats as tokens, and which of these are the assistant's: exactly, or not at all.

Where the template marks the assistant's turns (`{% generation %}`), transformers says which tokens they are. Elsewhere
a turn is what rendering one message more adds behind the generation prompt. That is exact when each rendering begins
with the one before it and no token lies across a border; a chat of which this is not true is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from everstep_trainer.errors import MalformedRecordError

Message = dict[str, Any]
Tokenizer = PreTrainedTokenizerFast

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_REMEDY = "put {% generation %} … {% endgeneration %} around the assistant's turns in recipe.model.chatTemplate.inline"
_EXAMPLE: list[Message] = [
    {"role": "user", "content": "What is 6 times 7?"},
    {"role": "assistant", "content": "It is 42."},
    {"role": "user", "content": "And 7 times 7?"},
    {"role": "assistant", "content": "It is 49."},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A chat as tokens."""

    tokens: Sequence[int]
    has_loss: Sequence[bool]


class Chats:
    """A tokenizer with the template that turns messages into text."""

    def __init__(self, tokenizer: Tokenizer, template: str) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self._marks_turns = _GENERATION.search(template) is not None

    def try_mask(self) -> None:
        """Find out by an example whether the assistant's turns can be told apart at all.

        Raises:
            MalformedRecordError: they cannot; the text continues "The chat template" and says what to change.
        """
        rendered = self.render(_EXAMPLE, with_mask=True)
        if not any(rendered.has_loss):
            raise MalformedRecordError(f"marks no token of the assistant's turns; {_REMEDY}")

    def render(self, messages: Sequence[Message], *, with_mask: bool) -> Rendered:
        """The chat's tokens; `has_loss` is true for all of them, or with the mask for those of the assistant's turns.

        Raises:
            MalformedRecordError: the template refuses the messages, or the mask cannot be derived exactly.
        """
        if with_mask and self._marks_turns:
            return self._render_marked(messages)
        text = self._text(messages)
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=with_mask)
        tokens: list[int] = encoded["input_ids"]
        if not with_mask:
            return Rendered(tokens=tokens, has_loss=[True] * len(tokens))
        return Rendered(tokens=tokens, has_loss=_inside(encoded["offset_mapping"], self._turns(messages, text)))

    def _render_marked(self, messages: Sequence[Message]) -> Rendered:
        try:
            encoded = self._tokenizer.apply_chat_template(
                list(messages),
                chat_template=self._template,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )
        except TemplateError as error:
            raise MalformedRecordError(_refused(error)) from error
        columns = cast("dict[str, list[int]]", encoded)  # with return_dict; the annotation covers all ways to call it
        return Rendered(tokens=columns["input_ids"], has_loss=[bool(flag) for flag in columns["assistant_masks"]])

    def _turns(self, messages: Sequence[Message], whole: str) -> list[tuple[int, int]]:
        """Where the assistant's turns stand in the text, each from the end of its generation prompt on."""
        turns = []
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            if place == 0:
                raise MalformedRecordError(f"begins with the assistant, for which no prompt can be rendered; {_REMEDY}")
            prompt = self._text(messages[:place], add_generation_prompt=True)
            through = self._text(messages[: place + 1])
            if not (through.startswith(prompt) and whole.startswith(through)):
                raise MalformedRecordError(
                    f"renders message {place + 1} otherwise when more messages follow, so that the assistant's tokens"
                    f" cannot be told apart; {_REMEDY}"
                )
            turns.append((len(prompt), len(through)))
        return turns

    def _text(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                list(messages),
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except TemplateError as error:
            raise MalformedRecordError(_refused(error)) from error
        return str(text)


def _refused(error: TemplateError) -> str:
    return f"is refused by the chat template: {error}"


def _inside(offsets: Sequence[tuple[int, int]], turns: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether each token lies inside one of the turns; both are sorted."""
    flags = []
    turn = 0
    for begin, end in offsets:
        while turn < len(turns) and turns[turn][1] <= begin:
            turn += 1
        overlaps = turn < len(turns) and end > turns[turn][0]
        if overlaps and not (turns[turn][0] <= begin and end <= turns[turn][1]):
            raise MalformedRecordError(f"has a token across the border of an assistant's turn; {_REMEDY}")
        flags.append(overlaps)
    return flags
