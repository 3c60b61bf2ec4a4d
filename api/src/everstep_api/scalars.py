"""What a plain YAML word means to kubectl: `2e-4` and `1_000` are numbers, `yes` and `off` are booleans.

kubectl reads YAML with go-yaml v2 and sends it as JSON (sigs.k8s.io/yaml 1.6), so a number without a fraction arrives
as a whole number however it was written. The rules here are those of go-yaml's resolve.go and of the way into JSON.
"""

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_OTHER_BASES = (
    (16, re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)")),
    (8, re.compile(r"([-+]?)0[oO]?([0-7]+)")),
    (2, re.compile(r"([-+]?)0[bB]([01]+)")),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOT_FIRST = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+)?")
_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


def plain_scalar(text: str) -> Scalar:
    """The value of an unquoted word; NaN and the infinities are returned as such, for the caller to refuse."""
    if text in _WORDS:
        return _WORDS[text]
    if _DOT_FIRST.fullmatch(text):
        return _float(text.replace("_", ""))
    if text[0] in "+-0123456789":
        return _number(text)
    return text


def as_json_number(value: float) -> int | float:
    """The number as it comes out of JSON: without a fraction it is a whole number, if 64 bits hold it."""
    if math.isfinite(value) and value == int(value) and int(value) in _INT64:
        return int(value)
    return float(value)


def _number(text: str) -> Scalar:
    digits = text.replace("_", "")
    whole = _whole(digits)
    if whole is not None and (whole in _INT64 or (digits[0] != "+" and whole in _UINT64)):
        return as_json_number(whole)
    value = _float(digits)
    return text if isinstance(value, str) else value


def _whole(digits: str) -> int | None:
    if _DECIMAL.fullmatch(digits):
        return int(digits)
    for base, pattern in _OTHER_BASES:
        if match := pattern.fullmatch(digits):
            return int(match[1] + match[2], base)
    return None


def _float(text: str) -> Scalar:
    """The number, or the text itself when it is none or has no place in 64 bits."""
    if not _FLOAT.fullmatch(text) or math.isinf(value := float(text)):
        return text
    return as_json_number(value)
