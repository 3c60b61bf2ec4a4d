"""The loader: what plain words mean, and which texts are refused with which line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everstep_api.manifest import MOST_VALUES, ManifestError, read_manifests
from everstep_api.scalars import plain_scalar

SCALARS = {
    "2e-4": 2e-4,
    "1e5": 100_000,
    "1E+5": 100_000,
    "1.0": 1,
    "1.": 1,
    ".5": 0.5,
    "-.5": -0.5,
    "1_000": 1000,
    "1_000.5": 1000.5,
    "5_000_000": 5_000_000,
    "0777": 511,
    "0o777": 511,
    "08": 8,
    "0x1F": 31,
    "-0x10": -16,
    "0b11": 3,
    "+5": 5,
    "1e400": "1e400",
    "9223372036854775807": 9223372036854775807,
    "9223372036854775808": 9223372036854775808.0,
    "0xFFFFFFFFFFFFFFFFFF": "0xFFFFFFFFFFFFFFFFFF",
    "1:20": "1:20",
    "2001-01-01": "2001-01-01",
    "yes": True,
    "Off": False,
    "y": True,
    "tRUE": "tRUE",
    "~": None,
    "": None,
    "e5": "e5",
    "1.2.3": "1.2.3",
    "+": "+",
    ".": ".",
    "Infinity": "Infinity",
    "h100": "h100",
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=[text or "nothing" for text in SCALARS])
def test_a_plain_word_means_what_kubectl_takes_it_for(text: str, value: object) -> None:
    read = plain_scalar(text)
    assert read == value
    assert type(read) is type(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_whole_number_of_64_bits_is_read_as_it_is(number: int) -> None:
    assert plain_scalar(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back_as_python_writes_it(number: float) -> None:
    assert plain_scalar(repr(number)) == number


def test_quoted_words_are_text() -> None:
    assert read_manifests("a: '1e5'\nb: \"yes\"\nc: ''\n") == [{"a": "1e5", "b": "yes", "c": ""}]


def test_a_tag_that_says_what_the_value_is_changes_nothing() -> None:
    text = "a: !!bool yes\nb: !!int 5\nc: !!float 0.5\nd: !!null ~\ne: !!str 5\n"
    assert read_manifests(text) == [{"a": True, "b": 5, "c": 0.5, "d": None, "e": "5"}]


def test_several_documents_are_several_manifests_and_empty_ones_none() -> None:
    assert read_manifests("---\na: 1\n---\n# nothing\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert read_manifests("") == []


def test_json_is_read_too() -> None:
    assert read_manifests('{"a": [1e5, null, true]}') == [{"a": [100_000, None, True]}]


def test_a_merge_key_overrides_what_stands_above_it_and_yields_to_what_stands_below() -> None:
    text = "base: &base {a: 1, b: 2}\nunder: {a: 9, <<: *base}\nover: {<<: *base, a: 9}\n"
    (manifest,) = read_manifests(text)
    assert manifest["under"] == {"a": 1, "b": 2}
    assert manifest["over"] == {"a": 9, "b": 2}


REFUSED = {
    "NaN": ("lr: .nan", ["line 1: JSON cannot hold .nan; write a finite number"]),
    "an infinity": ("a: 1\nlr: -.Inf", ["line 2: JSON cannot hold -.Inf; write a finite number"]),
    "a key twice": ("a: 1\nb: 2\na: 3", ["line 3: a is in this mapping twice; keep one of the two"]),
    "a list": ("- 1", ["line 1: this is not a mapping; begin a manifest with apiVersion, kind and metadata"]),
    "a list as a key": ("? [1]\n: 2", ["line 1: this key is not text; put it in quotes"]),
    "a fraction as a key": ("1.5: a", ["line 1: this key is not text; put it in quotes"]),
    "a tag of one's own": ("a: !secret b", ["line 1: 'b' has the tag !secret; write a plain value"]),
    "a tag that lies": ("a: !!int x", ["line 1: 'x' has the tag !!int; write a plain value"]),
    "an alias of itself": ("a: &a [*a]", ["line 1: this alias is inside what it names; write the value out"]),
    "an alias of nothing": ("a: *b", ["line 1: found undefined alias 'b'; correct the YAML"]),
    "a merge of no mapping": ("a: {<<: 3}", ["line 1: << is not followed by a mapping; name an anchor of one"]),
    "a tab": ("a:\n\tb: 1", ["line 2: found character '\\t' that cannot start any token; correct the YAML"]),
    "a control character": ("a: \x01", ["the character at position 3 is not allowed in YAML; remove it"]),
    "several faults": (
        "a: .nan\nb: {c: 1, c: 2}",
        [
            "line 1: JSON cannot hold .nan; write a finite number",
            "line 2: c is in this mapping twice; keep one of the two",
        ],
    ),
}


@pytest.mark.parametrize(("text", "problems"), REFUSED.values(), ids=REFUSED.keys())
def test_a_text_that_is_no_manifest_is_refused_with_its_lines(text: str, problems: list[str]) -> None:
    with pytest.raises(ManifestError) as refused:
        read_manifests(text)
    assert refused.value.problems == problems


def test_a_few_lines_of_aliases_do_not_become_billions_of_values() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ManifestError, match=f"more than {MOST_VALUES} values"):
        read_manifests("\n".join(lines))
