"""The loss is taken of the assistant's tokens exactly, or the chat is refused."""

import pytest

from everstep_trainer.data.masks import Chats
from everstep_trainer.errors import MalformedRecordError
from tests.unit.data.tokenizers_made_here import CHATML, MARKED, a_tokenizer

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Grüße?"},
    {"role": "assistant", "content": "Grüezi! ☀"},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "No more."},
]
FORGETFUL = (
    "{% for message in messages %}[{{ message['role'] }}]"
    "{% if loop.last or message['role'] != 'assistant' %}{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
STRICT = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('a system message must come first') }}{% endif %}"


def masked_text(template: str, messages: list[dict[str, str]] = CHAT) -> list[str]:
    """What the mask selects, each run of tokens as text."""
    tokenizer = a_tokenizer()
    rendered = Chats(tokenizer, template).render(messages, with_mask=True)
    runs: list[list[int]] = [[]]
    for token, has_loss in zip(rendered.tokens, rendered.has_loss, strict=True):
        if has_loss:
            runs[-1].append(token)
        elif runs[-1]:
            runs.append([])
    return [str(tokenizer.decode(run)) for run in runs if run]


def test_without_marks_a_turn_is_what_follows_its_generation_prompt() -> None:
    assert masked_text(CHATML) == ["Grüezi! ☀<|im_end|>\n", "No more.<|im_end|>\n"]


def test_with_marks_a_turn_is_what_the_template_says() -> None:
    assert masked_text(MARKED) == ["Grüezi! ☀<|im_end|>", "No more.<|im_end|>"]


def test_without_mask_every_token_counts() -> None:
    rendered = Chats(a_tokenizer(), CHATML).render(CHAT, with_mask=False)
    assert all(rendered.has_loss)
    assert len(rendered.tokens) == len(rendered.has_loss) > 0


def test_the_tokens_are_the_same_with_and_without_mask() -> None:
    chats = Chats(a_tokenizer(), CHATML)
    assert chats.render(CHAT, with_mask=True).tokens == chats.render(CHAT, with_mask=False).tokens


def test_a_chat_without_an_answer_has_no_token_that_counts() -> None:
    assert masked_text(CHATML, CHAT[:2]) == []


@pytest.mark.parametrize(
    ("template", "messages", "sentence"),
    [
        pytest.param(FORGETFUL, CHAT, "renders message 3 otherwise when more messages follow", id="it forgets turns"),
        pytest.param(CHATML, CHAT[2:3], "begins with the assistant", id="no prompt before the answer"),
        pytest.param(STRICT, CHAT[1:], "a system message must come first", id="the template refuses"),
    ],
)
def test_what_cannot_be_masked_exactly_is_refused(template: str, messages: list[dict[str, str]], sentence: str) -> None:
    with pytest.raises(MalformedRecordError, match=sentence):
        Chats(a_tokenizer(), template).render(messages, with_mask=True)


def test_a_template_whose_turns_cannot_be_told_apart_is_found_before_any_data_is_read() -> None:
    Chats(a_tokenizer(), CHATML).try_mask()
    Chats(a_tokenizer(), MARKED).try_mask()
    with pytest.raises(MalformedRecordError, match=r"put \{% generation %\}"):
        Chats(a_tokenizer(), FORGETFUL).try_mask()


def test_a_token_across_the_border_of_a_turn_is_refused() -> None:
    """Bytes never lie across; a tokenizer that joins the prompt's last letter with the answer's first one does."""
    tokenizer = a_tokenizer()
    rules = tokenizer.backend_tokenizer
    rules.add_tokens(["BA"])
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    chats = Chats(tokenizer, template)
    with pytest.raises(MalformedRecordError, match="across the border"):
        chats.render([{"role": "user", "content": "B"}, {"role": "assistant", "content": "A"}], with_mask=True)
