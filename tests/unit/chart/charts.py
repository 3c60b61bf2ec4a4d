"""The chart as helm renders it: its objects by kind and name."""

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from devcluster.settings import CACHE
from tests.builders import Manifest
from tests.paths import ROOT

CHART = ROOT / "charts" / "everstep"
RELEASE, NAMESPACE = "everstep", "everstep-system"
_TIMEOUT_S = 60


class ChartRefused(Exception):  # noqa: N818 - it is what happened to the values, as in `pytest.raises(ChartRefused)`
    """helm does not take it; the text is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The objects of a release."""

    objects: tuple[Manifest, ...]

    def all(self, kind: str) -> list[Manifest]:
        """The objects of a kind."""
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Manifest:
        """The only object of a kind, or the one of this name."""
        (found,) = [item for item in self.all(kind) if name in {None, item["metadata"]["name"]}]
        return found

    @property
    def pod(self) -> Manifest:
        """The pod template of the operator."""
        template: Manifest = self.one("Deployment")["spec"]["template"]
        return template

    @property
    def container(self) -> Manifest:
        """The operator's container."""
        (found,) = self.pod["spec"]["containers"]
        container: Manifest = found
        return container


def rendered(values: Manifest | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> Rendered:
    """What `helm install` would send for these values.

    Raises:
        ChartRefused: helm does not take the values.
    """
    return _rendered(json.dumps(values or {}), release, namespace)


@functools.cache
def _rendered(values: str, release: str, namespace: str) -> Rendered:
    text = helm("template", release, str(CHART), f"--namespace={namespace}", values=json.loads(values))
    return Rendered(objects=tuple(found for found in yaml.safe_load_all(text) if found is not None))


def notes(values: Manifest | None = None) -> str:
    """What `helm install` says at its end."""
    place = (RELEASE, str(CHART), f"--namespace={NAMESPACE}")
    _, _, said = helm("install", "--dry-run=client", *place, values=values or {}).partition("\nNOTES:\n")
    return said


def helm(*arguments: str, values: Manifest | None = None, kubeconfig: Path | None = None) -> str:
    """What `helm ARGUMENTS` prints; it reaches no cluster but the one of the kubeconfig.

    Raises:
        ChartRefused: it failed.
    """
    given = [] if values is None else ["--values=-"]
    done = subprocess.run(
        [_program(), *arguments, *given],
        input=json.dumps(values),
        env={**os.environ, "KUBECONFIG": str(kubeconfig or os.devnull)},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise ChartRefused(done.stderr)
    return done.stdout


@functools.cache
def _program() -> str:
    """The newest helm that was built here, or else that of the machine; without one the test is skipped."""
    built = sorted((CACHE / "bin").glob("*/helm"), key=lambda path: path.stat().st_mtime)
    found = str(built[-1]) if built else shutil.which("helm")
    if found is None:
        pytest.skip("there is no helm here; `make programs` builds one")
    return found
