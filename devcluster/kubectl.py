"""kubectl, as the rest of this package calls it."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.problem import DevclusterError

Manifest = dict[str, Any]


def is_ready(node: Manifest) -> bool:
    """Whether a Node is Ready; one that nobody has reported on yet is not."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """One cluster, through the kubectl binary."""

    binary: Path
    kubeconfig: Path

    def run(self, *arguments: str, stdin: str | None = None, timeout_s: float = 30.0) -> str:
        """Return what `kubectl ARGUMENTS` prints.

        Raises:
            DevclusterError: it failed, with its own words, or took longer than `timeout_s`.
        """
        command: list[str | Path] = [self.binary, f"--kubeconfig={self.kubeconfig}", *arguments]
        shown = f"kubectl {' '.join(arguments)}"
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise DevclusterError(
                f"`{shown}` gave no answer in {timeout_s:.0f} s; see `python -m devcluster status`."
            ) from None
        if done.returncode != 0:
            raise DevclusterError(f"`{shown}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def get(self, *arguments: str) -> Manifest:
        """Return the object or list that `kubectl get ARGUMENTS` finds."""
        found: Manifest = json.loads(self.run("get", "--output=json", *arguments))
        return found

    def apply(self, manifests: Sequence[Manifest]) -> None:
        """Make the cluster hold `manifests`, by server-side apply as the only owner of their fields."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.run("apply", "--server-side", "--force-conflicts", "--field-manager=devcluster", "-f", "-", stdin=listed)

    def wait(self, *arguments: str, timeout_s: float) -> None:
        """Return once `kubectl wait ARGUMENTS` is satisfied."""
        self.run("wait", f"--timeout={timeout_s:.0f}s", *arguments, timeout_s=timeout_s + 5)
