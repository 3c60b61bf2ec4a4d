"""`python -m monitoring` writes the dashboards into the chart; with `--check` it only says whether they are there."""

import argparse
import sys
from pathlib import Path

from monitoring.grafana import to_json
from monitoring.job import JOB

FOLDER = Path(__file__).parent.parent / "charts" / "everstep" / "dashboards"
BOARDS = {"job.json": JOB}


def main() -> None:
    """Write or check each dashboard; the exit code is 1 if one that was to be checked differs."""
    parser = argparse.ArgumentParser(prog="python -m monitoring", description="Builds the dashboards of Grafana.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs")
    is_check = parser.parse_args().check
    different = []
    for name, board in BOARDS.items():
        path, text = FOLDER / name, to_json(board)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        different.append(name)
        if not is_check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if is_check and different:
        sys.exit(f"{', '.join(different)} in {FOLDER} is not what the code makes; run `make dashboards`.")


if __name__ == "__main__":
    main()
