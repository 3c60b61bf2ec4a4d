"""The texts are what the standard library gives, the same each time, and held-out means held out."""

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from examples.prepare.corpora import Corpus, docstrings, is_held_out, sources
from examples.prepare.library import Module, modules
from examples.prepare.pairs import Pair, pairs
from tests.paths import ROOT


def a_module(package: str, code: str = "return 1", answer: str = "Say how many there are.") -> Module:
    return Module(package=package, text=f'def count_{package}():\n    """{answer}"""\n    {code}\n')


def pairs_of(library: list[Module]) -> list[Pair]:
    return [pair for module in library for pair in pairs(module)]


def chats(corpus: Corpus) -> list[tuple[str, str]]:
    """Code and answer of each line, which is checked to be a chat."""
    found = []
    for line in corpus.content.decode().splitlines():
        record: dict[str, Any] = json.loads(line)
        (messages,) = record.values()
        assert list(record) == ["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"]
        found.append((messages[0]["content"], messages[1]["content"]))
    assert len(found) == corpus.records
    return found


@pytest.fixture(scope="module")
def library() -> list[Module]:
    return list(modules())


@pytest.fixture(scope="module")
def found(library: list[Module]) -> list[Pair]:
    return pairs_of(library)


@pytest.fixture(scope="module")
def made(found: list[Pair]) -> tuple[Corpus, Corpus]:
    return docstrings(found)


def test_the_library_gives_about_five_thousand_chats(made: tuple[Corpus, Corpus]) -> None:
    """5,220 with Python 3.11; some distributions pack tkinter and idlelib (800) by themselves."""
    train, held_out = made

    assert 3500 < train.records < 7000
    assert 100 < held_out.records < train.records / 5


def test_every_question_is_python_without_its_docstring(made: tuple[Corpus, Corpus]) -> None:
    for code, answer in [pair for corpus in made for pair in chats(corpus)]:
        (function,) = ast.parse(code).body
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        assert ast.get_docstring(function) != answer
        assert len(code) < 900
        assert 20 <= len(answer) <= 500


def test_no_package_code_or_answer_is_on_both_sides(found: list[Pair], made: tuple[Corpus, Corpus]) -> None:
    train, held_out = map(chats, made)
    first_package: dict[str, str] = {}
    for pair in found:
        first_package.setdefault(pair.code, pair.package)

    assert not {first_package[code] for code, _ in train} & {first_package[code] for code, _ in held_out}
    assert not {answer for _, answer in train} & {answer for _, answer in held_out}
    assert len({code for code, _ in train + held_out}) == len(train + held_out)


def test_an_answer_that_was_trained_on_is_not_held_out() -> None:
    assert is_held_out("random")
    assert not is_held_out("json")
    library = [a_module("random"), a_module("json"), a_module("random", answer="Say which one comes next.")]
    library[2] = Module(package="random", text=library[2].text.replace("count_", "choose_"))

    train, held_out = docstrings(pairs_of(library))

    assert chats(train) == [("def count_json():\n    return 1", "Say how many there are.")]
    assert chats(held_out) == [("def choose_random():\n    return 1", "Say which one comes next.")]


def test_a_function_that_occurs_twice_stays_with_the_first() -> None:
    text = a_module("json").text

    train, held_out = docstrings(pairs_of([Module(package="json", text=text), Module(package="random", text=text)]))

    assert (train.records, held_out.records) == (1, 0)


def test_the_bytes_are_the_same_in_another_process(library: list[Module], made: tuple[Corpus, Corpus]) -> None:
    """With other hashes of strings, on which the order of sets depends."""
    program = """
import hashlib
from examples.prepare.corpora import docstrings, sources
from examples.prepare.library import modules
from examples.prepare.pairs import pairs
library = list(modules())
for corpus in (*docstrings(pair for module in library for pair in pairs(module)), sources(library)):
    print(hashlib.sha256(corpus.content).hexdigest())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    here = [hashlib.sha256(corpus.content).hexdigest() for corpus in (*made, sources(library))]
    assert done.stdout.split() == here


def test_plain_text_is_every_module_in_a_line_of_its_own(library: list[Module]) -> None:
    corpus = sources(library)

    texts = [json.loads(line)["text"] for line in corpus.content.decode().splitlines()]
    assert sorted(texts) == sorted(module.text for module in library)
    assert len(corpus.content) > 5_000_000


def test_the_beginning_of_a_file_is_a_sample_of_all_of_it() -> None:
    """What `maxSamples` takes is not what the first packages of the alphabet say."""
    packages = ["abc", "ast", "csv", "json", "queue", "shlex", "types", "uuid"]
    library = [
        Module(package=package, text=a_module(package).text.replace("count_", f"count_{number}_"))
        for package in packages
        for number in range(20)
    ]
    train, _ = docstrings(pairs_of(library))

    begun = [code for code, _ in chats(train)[: len(library) // 4]]
    assert {package for package in packages if any(package in code for code in begun)} == set(packages)


def test_tests_tables_and_what_lies_beside_the_library_are_no_library(tmp_path: Path) -> None:
    for name in (
        "json/__init__.py",
        "json/decoder.py",
        "json/tests/test_decoder.py",
        "encodings/cp037.py",
        "site-packages/other.py",
        "unheard_of.py",
        "glob.py",
        "io.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    (tmp_path / "glob.py").write_text(" \n")
    (tmp_path / "io.py").write_bytes(b"# coding: utf-8\n# \xff\n")

    assert [module.text for module in modules(tmp_path)] == ["# json/__init__.py\n", "# json/decoder.py\n"]
