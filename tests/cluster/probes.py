"""Pods that serve, ask and hold connections, for tests of the cluster itself."""

import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devcluster.kubectl import Kubectl, Manifest

PORT = 8080
_READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Pods of the image `probe` in one Kubernetes namespace."""

    kubectl: Kubectl
    namespace: str
    image: str

    @classmethod
    @contextmanager
    def in_new_namespace(cls, kubectl: Kubectl, image: str) -> Iterator[Self]:
        """Yield an empty namespace in which pods can be created; delete it afterwards."""
        namespace = f"probes-{uuid.uuid4().hex[:8]}"
        kubectl.run("create", "namespace", namespace)
        kubectl.wait("--for=create", "serviceaccount/default", f"--namespace={namespace}", timeout_s=_READY_TIMEOUT_S)
        yield cls(kubectl=kubectl, namespace=namespace, image=image)
        kubectl.run("delete", "namespace", namespace, "--wait=false")

    def serve(self, name: str, *, node: str | None = None) -> str:
        """Run a server; return its pod's address once it answers."""
        self._create(name, ["serve", str(PORT)], node=node, ready=True)
        self._wait("--for=condition=Ready", name)
        return self.address_of(name)

    def hold(self, name: str, address: str, *, node: str | None = None) -> "Held":
        """Open a connection to a server and keep it; return once echoes come back."""
        self._create(name, ["hold", f"{address}:{PORT}"], node=node)
        self._wait("--for=jsonpath={.status.phase}=Running", name)
        held = Held(probes=self, pod=name)
        held.await_line("held")
        return held

    def run(self, name: str, *arguments: str, node: str | None = None) -> str:
        """Run one command of the probe to its end; return what it printed."""
        self._create(name, list(arguments), node=node)
        self._wait("--for=jsonpath={.status.phase}=Succeeded", name)
        return self.kubectl.run("logs", name, f"--namespace={self.namespace}").strip()

    def expose(self, name: str) -> None:
        """Make a Service in front of the server `name`."""
        spec: Manifest = {"selector": {"probe": name}, "ports": [{"port": PORT}]}
        service: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": self._metadata(name), "spec": spec}
        self.kubectl.apply([service])

    def address_of(self, name: str) -> str:
        """Return a pod's address."""
        pod = self.kubectl.get("pod", name, f"--namespace={self.namespace}")
        return str(pod["status"]["podIP"])

    def restarts_of(self, name: str) -> int:
        """Return how often a pod's container was started again."""
        pod = self.kubectl.get("pod", name, f"--namespace={self.namespace}")
        return int(pod["status"]["containerStatuses"][0]["restartCount"])

    def node_of(self, name: str) -> str:
        """Return the node on which a pod runs."""
        pod = self.kubectl.get("pod", name, f"--namespace={self.namespace}")
        return str(pod["spec"]["nodeName"])

    def _metadata(self, name: str) -> Manifest:
        return {"name": name, "namespace": self.namespace, "labels": {"probe": name}}

    def _create(self, name: str, arguments: Sequence[str], *, node: str | None, ready: bool = False) -> None:
        container: Manifest = {"name": "probe", "image": self.image, "args": list(arguments)}
        container["imagePullPolicy"] = "Never"
        if ready:
            container["readinessProbe"] = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
        # They tolerate every taint: what a fault does to a connection is seen only while its pod stays.
        spec: Manifest = {"restartPolicy": "Never", "tolerations": [{"operator": "Exists"}], "containers": [container]}
        spec["terminationGracePeriodSeconds"] = 1
        if node:
            spec["nodeSelector"] = {"kubernetes.io/hostname": node}
        self.kubectl.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": self._metadata(name), "spec": spec}])

    def _wait(self, condition: str, name: str) -> None:
        self.kubectl.wait(condition, f"pod/{name}", f"--namespace={self.namespace}", timeout_s=_READY_TIMEOUT_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A pod that keeps one connection and tells what becomes of it."""

    probes: Probes
    pod: str

    def said(self) -> list[str]:
        """Return what the pod has said so far."""
        return self.probes.kubectl.run("logs", self.pod, f"--namespace={self.probes.namespace}").split()

    def await_line(self, *wanted: str, after: int = 0, timeout_s: float = 30.0) -> list[str]:
        """Return what the pod has said, once it says one of `wanted` and has said more than `after` lines."""
        kubectl = self.probes.kubectl
        follow: list[str | Path] = [kubectl.binary, f"--kubeconfig={kubectl.kubeconfig}", "logs", "--follow", self.pod]
        follow += [f"--namespace={self.probes.namespace}"]
        said: list[str] = []
        with subprocess.Popen(["timeout", f"{timeout_s}s", *follow], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.strip())
                if said[-1] in wanted and len(said) > after:
                    process.terminate()
                    return said
        raise AssertionError(f"{self.pod} said {said} in {timeout_s} s, and none of {wanted} after line {after}")
