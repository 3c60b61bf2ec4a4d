"""A cluster that somebody has already, behind the same verbs: nothing in it is touched that is not ours."""

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from devcluster import image_stores, images
from devcluster.addons import S3
from devcluster.build import binaries
from devcluster.kubectl import Kubectl, is_ready
from devcluster.problem import DevclusterError

_LOAD_TIMEOUT_S = 1800.0
_LOAD_EXAMPLE = "kind load image-archive {archive}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingCluster:
    """The cluster of a kubeconfig's current context."""

    kubeconfig: Path
    context: str

    @classmethod
    def of_context(cls, kubeconfig: Path, context: str) -> Self:
        """Return the cluster of `kubeconfig`, if its current context is the one that was named for trials.

        Raises:
            DevclusterError: it is another one, which nobody said may be used, or the file cannot be read.
        """
        try:
            read = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise DevclusterError(
                f"{kubeconfig} cannot be read as a kubeconfig ({error}); set KUBECONFIG to the one file that names the "
                "cluster, for example made by `kubectl config view --flatten --minify --raw`."
            ) from error
        current = read.get("current-context") if isinstance(read, dict) else None
        if current != context:
            raise DevclusterError(
                f"The current context of {kubeconfig} is {current or 'not set'} and DEVCLUSTER_CONTEXT allows only "
                f"{context}; run `kubectl config use-context {context}`, or name the other one if trials may change it."
            )
        return cls(kubeconfig=kubeconfig, context=context)

    @property
    def kubectl(self) -> Kubectl:
        """kubectl with the rights of the context's user."""
        return Kubectl(binary=binaries() / "kubectl", kubeconfig=self.kubeconfig)

    @property
    def s3(self) -> S3:
        """The object store in it, whose data end with its pod."""
        return S3(kubectl=self.kubectl)

    def up(self, nodes: int | None = None) -> None:
        """Return once the cluster answers, has Ready nodes and runs the object store.

        Args:
            nodes: how many Ready nodes it must have; absent: one.
        """
        ready = [node for node in self._nodes() if is_ready(node)]
        wanted = nodes or 1
        if len(ready) < wanted:
            raise DevclusterError(
                f"The cluster of context {self.context} has {len(ready)} Ready nodes and {wanted} are needed; "
                "add nodes to it, or see with `kubectl describe nodes` why they are not Ready."
            )
        archive = images.archive("s3")
        self._bring(archive)
        self.s3.install(archive)

    def down(self) -> None:
        """Remove the object store; the cluster stays as it was."""
        self.s3.uninstall()

    def status(self) -> str:
        """Say how its nodes and the object store are, as a table."""
        rows = [(node["metadata"]["name"], "Ready" if is_ready(node) else "NotReady") for node in self._nodes()]
        rows += [("s3", self.s3.state()), ("context", self.context), ("kubeconfig", str(self.kubeconfig))]
        return "\n".join(f"{part:<28}{state}" for part, state in rows)

    def load(self, image: str) -> str:
        """Bring an image to the cluster by the command in DEVCLUSTER_LOAD; return the name that pods use."""
        if "{archive}" not in _load_command() and not Path(image).is_file():
            _run_load(image=image, archive="")
            return image
        return self._bring(images.find(image))

    def _bring(self, archive: Path) -> str:
        name = images.name_of(archive)
        if "{archive}" not in _load_command():
            image_stores.load(archive)
        _run_load(image=name, archive=str(archive))
        return name

    def _nodes(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self.kubectl.get("nodes")["items"]
        return nodes


def _load_command() -> str:
    command = os.environ.get("DEVCLUSTER_LOAD", "")
    if "{archive}" in command or "{image}" in command:
        return command
    raise DevclusterError(
        f"DEVCLUSTER_LOAD is {command or 'not set'}; set it to the command that brings an image to the cluster, with "
        f"{{archive}} or {{image}} where the file or the name belongs, for example '{_LOAD_EXAMPLE}'."
    )


def _run_load(*, image: str, archive: str) -> None:
    command = _load_command().replace("{image}", shlex.quote(image)).replace("{archive}", shlex.quote(archive))
    try:
        done = subprocess.run(
            ["sh", "-c", command],  # it is the user's own line, who may want a pipe or `&&`
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LOAD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DevclusterError(f"`{command}` (DEVCLUSTER_LOAD) has no end after {_LOAD_TIMEOUT_S:.0f} s.") from None
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or "it says nothing"
        raise DevclusterError(f"`{command}` (DEVCLUSTER_LOAD) failed: {said}")
