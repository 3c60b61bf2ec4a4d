"""The object store of a cluster: an S3 server in a pod, which can be stopped and started like the real ones fail."""

import base64
import contextlib
import http
import os
import re
import select
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from devcluster import images
from devcluster.kubectl import Kubectl, Manifest
from devcluster.problem import DevclusterError
from devcluster.waiting import wait_until

NAMESPACE = "everstep-devcluster"

_PORT = 9000
_LABELS = {"app.kubernetes.io/name": "s3", "app.kubernetes.io/part-of": NAMESPACE}
_DATA = "/data"
_TIMEOUT_S = 90.0
_PROBE_TIMEOUT_S = 3.0  # a refusal may be sent a second late: the kernel sends each peer one a second


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """An S3 server with one bucket, whose conditional writes are atomic among simultaneous clients.

    With `node` and `folder` it runs on that node and its data lie in that folder of this machine, which survive pod
    and node, and this machine reaches it at its service address. Without them its data end with its pod.
    """

    bucket: ClassVar = "everstep"
    region: ClassVar = "us-east-1"
    access_key: ClassVar = "everstep"
    secret_key: ClassVar = "everstep-secret"  # noqa: S105  # of a server that only trials reach
    endpoint: ClassVar = f"http://s3.{NAMESPACE}:{_PORT}"
    """Where pods find it."""

    kubectl: Kubectl
    node: str | None = None
    folder: Path | None = None

    @classmethod
    def environment(cls, endpoint: str) -> dict[str, str]:
        """The variables by which clients of S3 find it at this endpoint, and are let in."""
        return {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": cls.region,
            "AWS_ACCESS_KEY_ID": cls.access_key,
            "AWS_SECRET_ACCESS_KEY": cls.secret_key,
        }

    def install(self, archive: Path) -> None:
        """Make it run from the image in `archive`, which the nodes have already; return once it answers."""
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            os.chown(self.folder, images.USER, images.USER)
        self.kubectl.apply([_namespace(), self._secret(), _service(), self._deployment(images.name_of(archive))])
        self._await_start()

    def uninstall(self) -> None:
        """Remove it, with the namespace that is its own."""
        self.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_s=_TIMEOUT_S)

    def start(self) -> None:
        """Start it; return once it answers, with the data that it had."""
        self._scale(1)
        self._await_start()

    def stop(self) -> None:
        """End it; return once connections to it are refused."""
        self._scale(0)
        self._kubectl("rollout", "status", "deployment/s3", f"--timeout={_TIMEOUT_S:.0f}s")
        self._kubectl(
            "wait", "--for=delete", "pods", "--selector=app.kubernetes.io/name=s3", f"--timeout={_TIMEOUT_S:.0f}s"
        )
        if self.node:
            # Until kube-proxy knows that nobody is behind the service, connections hang instead of being refused.
            address = self._service_address()
            wait_until(
                lambda: _is_refused(address),
                timeout_s=_TIMEOUT_S,
                failure=f"{address} does not refuse connections though the S3 server is off; see kube-proxy's log.",
            )

    def state(self) -> str:
        """Say in a word or two how it is."""
        found = self._kubectl(
            "get", "deployment/s3", "--ignore-not-found", "--output=jsonpath={.spec.replicas}/{.status.readyReplicas}"
        )
        return {"": "not installed", "0/": "off", "1/1": "on"}.get(found, "starting")

    @contextlib.contextmanager
    def reach(self) -> Iterator[str]:
        """Yield an endpoint of it for this machine."""
        if self.node:
            yield f"http://{self._service_address()}:{_PORT}"
        else:
            with self._forwarded() as port:
                yield f"http://127.0.0.1:{port}"

    # -- inside ------------------------------------------------------------------------------------------------------

    def _kubectl(self, *arguments: str) -> str:
        return self.kubectl.run(f"--namespace={NAMESPACE}", *arguments, timeout_s=_TIMEOUT_S + 5)

    def _scale(self, replicas: int) -> None:
        self._kubectl("scale", "deployment/s3", f"--replicas={replicas}")

    def _service_address(self) -> str:
        return self._kubectl("get", "service/s3", "--output=jsonpath={.spec.clusterIP}")

    def _await_start(self) -> None:
        self._kubectl("rollout", "status", "deployment/s3", f"--timeout={_TIMEOUT_S:.0f}s")
        if self.node:
            address = self._service_address()
            wait_until(
                lambda: _is_healthy(address),
                timeout_s=_TIMEOUT_S,
                failure=f"The S3 server is Ready but does not answer at {address}:{_PORT}; see kube-proxy's log.",
            )

    @contextlib.contextmanager
    def _forwarded(self) -> Iterator[int]:
        command: list[str | Path] = [
            self.kubectl.binary,
            f"--kubeconfig={self.kubectl.kubeconfig}",
            f"--namespace={NAMESPACE}",
        ]
        command += ["port-forward", "service/s3", f":{_PORT}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forwarder:
            try:
                said = ""
                if forwarder.stdout and select.select([forwarder.stdout], [], [], _TIMEOUT_S)[0]:
                    said = forwarder.stdout.readline().strip()
                found = re.search(r"127\.0\.0\.1:(\d+) ->", said)
                if found is None:
                    raise DevclusterError(
                        f"kubectl cannot forward a port to the S3 server: {said or 'it says nothing'}"
                    )
                yield int(found[1])
            finally:
                forwarder.kill()

    def _secret(self) -> Manifest:
        keys = {"access-key": self.access_key, "secret-key": self.secret_key}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s3", "namespace": NAMESPACE, "labels": _LABELS},
            "data": {name: base64.b64encode(value.encode()).decode() for name, value in keys.items()},
        }

    def _deployment(self, image: str) -> Manifest:
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "s3", "namespace": NAMESPACE, "labels": _LABELS},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},  # two servers on one folder would each hold locks of their own
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": self._pod(image)},
            },
        }

    def _pod(self, image: str) -> Manifest:
        volume: Manifest = {"emptyDir": {}}
        placement: Manifest = {}
        if self.node and self.folder:
            volume = {"hostPath": {"path": str(self.folder), "type": "Directory"}}
            placement = {
                "nodeSelector": {"kubernetes.io/hostname": self.node},
                # It can run nowhere else: when the node is lost, it waits for the node instead of being evicted.
                "tolerations": [{"operator": "Exists"}],
            }
        return {
            **placement,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # With 0 the pod would be gone before its program is.
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": images.USER,
                "runAsGroup": images.USER,
                "fsGroup": images.USER,
            },
            "containers": [_container(image, bucket=self.bucket)],
            "volumes": [{"name": "data", **volume}],
        }


def _container(image: str, *, bucket: str) -> Manifest:
    from_secret = {"S3_ACCESS_KEY": "access-key", "S3_SECRET_KEY": "secret-key"}
    plain = {"S3_LISTEN": f":{_PORT}", "S3_FOLDER": _DATA, "S3_BUCKET": bucket}
    return {
        "name": "s3",
        "image": image,
        "imagePullPolicy": "Never",  # no registry has it
        "env": [
            *({"name": name, "value": value} for name, value in plain.items()),
            *(
                {"name": name, "valueFrom": {"secretKeyRef": {"name": "s3", "key": key}}}
                for name, key in from_secret.items()
            ),
        ],
        "ports": [{"name": "http", "containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": _DATA}],
    }


def _namespace() -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def _service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s3", "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {"selector": _LABELS, "ports": [{"name": "http", "port": _PORT, "targetPort": "http"}]},
    }


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:{_PORT}/healthz", timeout=_PROBE_TIMEOUT_S) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    except OSError:
        return False


def _is_refused(address: str) -> bool:
    try:
        socket.create_connection((address, _PORT), timeout=_PROBE_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
