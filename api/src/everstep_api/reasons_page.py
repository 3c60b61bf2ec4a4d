"""The page of conditions and events, written from the reasons that the code knows.

`python -m everstep_api.reasons_page FILE` writes it; with `--check` it writes nothing, and ends with 1 and a sentence
when the file differs.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from everstep_api.conditions import MEANINGS, OCCURRENCES, ConditionType, severity_of

_HEADER = """\
<!-- Written by `make crds` from everstep_api/conditions.py; change that. -->
# Conditions and events of a TrainingJob

`kubectl describe tj NAME` shows both. A condition says how the job is now: its type, its status, one of the reasons
below and a sentence with the objects and the numbers. When a condition gets another reason, an event with the same
reason and sentence tells it. Reasons keep their spelling, so programs and alerts may rely on them; sentences are for
people and may change.

`kubectl get tj` shows in REASON that of the first condition that keeps the job from training, in the order Failed,
Accepted, Suspended, Scheduled, Running.
"""

_ABOUT = {
    ConditionType.ACCEPTED: "whether the job may have pods",
    ConditionType.SCHEDULED: "whether its workers have nodes",
    ConditionType.RUNNING: "whether a world of workers trains, and else why not",
    ConditionType.SUSPENDED: "whether it stands still because `suspend` says so; absent for a job that never did",
    ConditionType.COMPLETE: "whether the model is written",
    ConditionType.FAILED: "whether it was given up, and why",
}


def rendered() -> str:
    """The page as the text of its file."""
    parts = [_HEADER, *(_section(kind) for kind in ConditionType), _occurrences()]
    return "\n".join(parts)


def _section(kind: ConditionType) -> str:
    rows = (
        f"| `{reason}` | {status} | {severity_of(reason)} | {_capital(meaning)}. |"
        for reason, (about, status, meaning) in MEANINGS.items()
        if about is kind
    )
    return _table(
        f"## {kind}\n\nSays {_ABOUT[kind]}.\n", "| Reason | Status | Event | Meaning |\n|---|---|---|---|", rows
    )


def _occurrences() -> str:
    rows = (f"| `{reason}` | {severity_of(reason)} | {_capital(meaning)}. |" for reason, meaning in OCCURRENCES.items())
    return _table(
        "## Events alone\n\nThese belong to no condition.\n", "| Reason | Event | Meaning |\n|---|---|---|", rows
    )


def _table(head: str, columns: str, rows: Iterable[str]) -> str:
    lines = "\n".join(rows)
    return f"{head}\n{columns}\n{lines}\n"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def main(arguments: list[str] | None = None) -> int:
    """Write or check the file; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m everstep_api.reasons_page", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("docs/events.md"), help="the page (docs/events.md)")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if the file is out of date")
    options = parser.parse_args(arguments)
    file: Path = options.file
    if file.exists() and file.read_text() == rendered():
        return 0
    if options.check:
        sys.stderr.write(f"{file} is not what the code says; run `make crds` and commit it.\n")
        return 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(rendered())
    return 0


if __name__ == "__main__":
    sys.exit(main())
