"""What the demo needs of a cluster: the stack of Everstep in it, and a namespace with the key to the bucket."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devcluster import build, image_build
from devcluster.addons import S3
from devcluster.kubectl import Kubectl
from devcluster.provider import Cluster
from examples.demo.problem import DemoError
from examples.demo.storage import reached

PROJECT = Path(__file__).parents[2]
_RELEASE = "everstep"
SYSTEM = "everstep-system"
"""Where the operator runs."""
_INSTALL_TIMEOUT_S = 180
_SECRET = "bucket"  # noqa: S105 - the name that the examples use


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Everstep in a cluster."""

    cluster: Cluster
    operator_image: str
    """Name of the operator's image, with its tag, as pods use it."""
    trainer_image: str
    """The same of the workers' image."""
    namespace: str = "everstep-demo"
    """Where jobs run."""

    @classmethod
    def built(cls, cluster: Cluster) -> Self:
        """Build both images and bring them to every node."""
        operator, trainer = (cluster.load(image_build.build(target)) for target in image_build.TARGETS)
        return cls(cluster=cluster, operator_image=operator, trainer_image=trainer)

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as an administrator."""
        return self.cluster.kubectl

    def install(self, values: Mapping[str, str] | None = None) -> None:
        """Have the chart's release run these images; return once the operator is ready.

        Args:
            values: Further values of the chart, by their paths.

        Raises:
            DemoError: helm refuses it, or the operator does not become ready.
        """
        command = [str(build.binaries() / "helm"), f"--kubeconfig={self.cluster.kubeconfig}"]
        command += ["upgrade", "--install", _RELEASE, str(PROJECT / "charts" / "everstep")]
        command += [f"--namespace={SYSTEM}", "--create-namespace", "--wait", f"--timeout={_INSTALL_TIMEOUT_S}s"]
        command += [f"--set={path}={value}" for path, value in (values or {}).items()]
        for path, image in (("image", self.operator_image), ("trainer.image", self.trainer_image)):
            repository, tag = image.rsplit(":", maxsplit=1)  # some tags are numbers
            command.append(f"--set-string={path}.repository={repository},{path}.tag={tag}")
        try:
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S + 30, cwd=PROJECT
            )
        except subprocess.CalledProcessError as error:
            raise DemoError(
                f"helm cannot install the chart: {error.stderr.strip()}", self.shown("get pods", namespace=SYSTEM)
            ) from error
        except subprocess.TimeoutExpired as error:
            raise DemoError(
                f"helm gave no answer in {_INSTALL_TIMEOUT_S + 30} s.", self.shown("get pods", namespace=SYSTEM)
            ) from error

    def make_room(self) -> None:
        """Have the job's namespace, with the Secret by which its pods reach the bucket."""
        self.kubectl.apply(
            [
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": _SECRET, "namespace": self.namespace},
                    "stringData": S3.environment(S3.endpoint),
                },
            ]
        )

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """Yield the bucket's address, with keys and endpoint in the environment, as tools on this machine want them."""
        with self.cluster.s3.reach() as endpoint, reached(endpoint):
            yield f"s3://{S3.bucket}"

    def shown(self, words: str, *, namespace: str = "") -> str:
        """The command by which a person sees more."""
        where = f"--namespace={namespace or self.namespace}"
        return f"{self.kubectl.binary} --kubeconfig={self.cluster.kubeconfig} {where} {words}"
