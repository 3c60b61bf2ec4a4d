"""What the rest of the project asks of a cluster, whichever it is."""

import os
from pathlib import Path
from typing import Protocol

from devcluster.addons import S3
from devcluster.cluster import NamespacesCluster
from devcluster.existing import ExistingCluster
from devcluster.kubectl import Kubectl
from devcluster.problem import DevclusterError
from devcluster.settings import DEFAULT_NAME, STATE


class Cluster(Protocol):
    """A cluster that pods can be tried on."""

    @property
    def kubeconfig(self) -> Path:
        """The credentials that everything uses."""

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as an administrator."""

    @property
    def s3(self) -> S3:
        """The object store in it."""

    def up(self, nodes: int | None = None) -> None:
        """Make it whole, and return once nodes are Ready and the object store answers."""

    def down(self) -> None:
        """Remove what `up` and `load` made."""

    def status(self) -> str:
        """Say how its parts are, in a table for people."""

    def load(self, image: str) -> str:
        """Bring an image, by its name or as an archive, to every node; return the name that pods use."""


def choose(name: str = DEFAULT_NAME) -> Cluster:
    """Return the cluster that the environment names, or the one of namespaces on this machine.

    Raises:
        DevclusterError: `KUBECONFIG` names a cluster, but nothing says that it may be used for trials.
    """
    kubeconfig = os.environ.get("KUBECONFIG")
    context = os.environ.get("DEVCLUSTER_CONTEXT")
    if context:
        return ExistingCluster.of_context(Path(kubeconfig or Path.home() / ".kube" / "config"), context)
    if kubeconfig and Path(kubeconfig).parent.parent != STATE:
        raise DevclusterError(
            f"KUBECONFIG is {kubeconfig}: set DEVCLUSTER_CONTEXT to the name of its context to use that cluster for "
            "trials, or unset KUBECONFIG for one on this machine."
        )
    return NamespacesCluster(name=name)
