"""What becomes a question and an answer, and what does not."""

import textwrap

import pytest

from examples.prepare.library import Module
from examples.prepare.pairs import Pair, pairs

ANSWER = "Say how many there are."


def found(source: str) -> list[Pair]:
    return list(pairs(Module(package="counting", text=textwrap.dedent(source))))


def test_a_method_is_shown_at_the_margin_with_decorators_and_comments_but_without_its_docstring() -> None:
    (pair,) = found(f'''
        class Counter:
            @property
            def total(self):
                """{ANSWER}"""
                # of all kinds
                return sum(
                    self.counts)
    ''')

    assert pair == Pair(
        package="counting",
        code="@property\ndef total(self):\n    # of all kinds\n    return sum(\n        self.counts)",
        answer=ANSWER,
    )


def test_an_answer_is_its_text_without_the_indentation_of_the_source() -> None:
    (pair,) = found('''
        async def count():
            """Say how many there are.

            All of them.
            """
            return 1
    ''')

    assert pair.answer == "Say how many there are.\n\nAll of them."


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def count():\n    return 1\n", id="no docstring"),
        pytest.param(f'def count():\n    """{ANSWER}"""\n', id="nothing but a docstring"),
        pytest.param('def count():\n    """Count the things."""\n    return 1\n', id="19 characters say too little"),
        pytest.param(f'def count():\n    """{"x" * 501}"""\n    return 1\n', id="501 characters are too many"),
        pytest.param(f'def count():\n    """{ANSWER}"""\n    return "{"x" * 900}"\n', id="too much code"),
        pytest.param(f'def count(): "{ANSWER}"; return 1\n', id="docstring and code in one line"),
        pytest.param(f'def count():\n    "{ANSWER}"; return 1\n', id="code behind the docstring"),
        pytest.param(f'def count():\n    "{ANSWER} \\ud800"\n    return 1\n', id="half of a character"),
        pytest.param(f'def count():\n    """{ANSWER}"""\n    return (\n', id="no Python"),
    ],
)
def test_a_function_that_is_no_good_question_is_left_out(source: str) -> None:
    assert found(source) == []


def test_the_shortest_and_the_longest_answer_are_taken() -> None:
    sources = [f'def count():\n    """{"x" * length}"""\n    return 1\n' for length in (20, 500)]

    assert [len(pair.answer) for source in sources for pair in found(source)] == [20, 500]
