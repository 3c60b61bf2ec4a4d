"""What makes a sentence of refusal one that helps: it says what is wrong with which value, and then what to do."""

import re

_ADVICE = re.compile("add|apply|begin|choose|create|delete|form|keep|read|remove|set|use|wait|write")
_IN_TWO_PARTS = re.compile(r"^(?P<fault>.+?); (?P<advice>\w+)\b.+$")


def lacks(sentence: str, names: set[str]) -> str | None:
    """What the sentence lacks, or None: a value or a field's name before a semicolon, a verb of advice after it."""
    found = _IN_TWO_PARTS.match(sentence)
    if found is None:
        return "a semicolon with words on both sides"
    if not _ADVICE.fullmatch(found["advice"]):
        return f"a verb of advice in place of '{found['advice']}'"
    words = set(re.findall(r"[A-Za-z]+", found["fault"]))
    if not re.search(r"%[sd]", found["fault"]) and not names & words:
        return "the value, or the name of the field"
    return None
