"""Functions and what their authors said of them."""

import ast
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from examples.prepare.library import Module

ANSWER_LENGTHS = range(20, 501)
"""Characters of a docstring that says something and fits a row."""
MAX_CODE_LENGTH = 900
"""Characters; with the answer and the template that is 350 tokens or so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A function without its docstring, and the docstring."""

    package: str
    code: str
    answer: str


def pairs(module: Module) -> Iterator[Pair]:
    """Yield the module's functions that have a docstring of a fit length and something else to say it of.

    The code of each is what stands in the file, comments included, moved to the left margin; it is valid Python.
    """
    tree = _parsed(module.text)
    if tree is None:
        return
    lines = module.text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            answer = ast.get_docstring(node)
            # An escape in a docstring can make a character that no file can hold; those of ASCII cannot.
            if answer is None or len(answer) not in ANSWER_LENGTHS or not answer.isascii():
                continue
            code = _without_docstring(node, lines)
            if code is not None and len(code) < MAX_CODE_LENGTH and _parsed(code) is not None:
                yield Pair(package=module.package, code=code, answer=answer)


def _without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> str | None:
    """The function's lines but those of its docstring, or None where nothing is left or they cannot be told apart."""
    docstring, *body = node.body
    if not body or docstring.end_lineno is None or body[0].lineno <= docstring.end_lineno:
        return None
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    kept = lines[first - 1 : docstring.lineno - 1] + lines[docstring.end_lineno : node.end_lineno]
    return textwrap.dedent("\n".join(kept))


def _parsed(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's authors about escapes; not ours to mend
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError):
            return None
