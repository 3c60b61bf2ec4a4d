"""Where the files are that tests read."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
CRDS = ROOT / "crds"
EXAMPLES = sorted((ROOT / "examples").glob("*-job.yaml"))
