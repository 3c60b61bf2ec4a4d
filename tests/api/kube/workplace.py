"""A namespace with jobs, and whom a cluster would have there: a kubelet that runs pods, and agents in them."""

import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast

from kubernetes import client

from devcluster import certificates
from devcluster.control_plane import LocalControlPlane
from devcluster.waiting import wait_until
from everstep_agent.settings import Settings
from everstep_operator.podspec import audience, config_map_name
from tests.api.jobs import TIMEOUT_S, Jobs, Refused
from tests.builders import JobBuilder, Manifest

T = TypeVar("T")

_PATIENCE_S = 30.0


@dataclass(kw_only=True)
class Workplace:
    """One namespace, which also holds the operator's own objects."""

    plane: LocalControlPlane
    api: client.ApiClient
    namespace: str
    folder: Path
    logs: Callable[[], str] = field(default=lambda: "")
    """What the operators say, for the message of a failure."""

    @property
    def jobs(self) -> Jobs:
        """The jobs here."""
        return Jobs(api=client.CustomObjectsApi(self.api), namespace=self.namespace)

    def call(self, method: str, path: str, body: Manifest | None = None, *, kind: str = "application/json") -> Manifest:
        """The answer of the API server, asked as an administrator by a client that shares nothing with ours.

        Args:
            method: The verb.
            path: Below the server's address; `{here}` stands for `namespaces/` and this namespace.
            body: What is sent.
            kind: Content type of the body.

        Raises:
            Refused: the status is none of success.
        """
        server = self.plane.server
        user = certificates.make_leaf(server.pki, "admin", server.authority, user="admin", groups=["system:masters"])
        context = ssl.create_default_context(cafile=str(server.authority.certificate))
        context.load_cert_chain(user.certificate, user.key)
        connection = http.client.HTTPSConnection(server.address, server.port, context=context, timeout=TIMEOUT_S)
        try:
            where = path.format(here=f"namespaces/{self.namespace}")
            connection.request(method, where, json.dumps(body) if body else None, {"Content-Type": kind})
            response = connection.getresponse()
            answer: Manifest = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise Refused(response.status, answer["message"])
        return answer

    def apply(self, job: JobBuilder) -> str:
        """Apply the job as a person would; return its name."""
        manifest = job.setting("metadata.namespace", self.namespace).manifest
        self.plane.kubectl.apply([manifest])
        return str(manifest["metadata"]["name"])

    def patch(self, job: str, change: Manifest) -> None:
        """Change a part of the job."""
        self.plane.kubectl.run("patch", "tj", job, "-n", self.namespace, "--type=merge", "-p", json.dumps(change))

    def pods(self, job: str) -> list[Manifest]:
        """The job's pods that are not on their way out, by worker."""
        found = self.call("GET", f"/api/v1/{{here}}/pods?labelSelector=everstep.dev/job-name={job}")["items"]
        live: list[Manifest] = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return sorted(live, key=lambda pod: str(pod["metadata"]["labels"]["everstep.dev/worker-index"]))

    def wait_for_pods(self, job: str, count: int, *, without: str = "") -> list[Manifest]:
        """The job's pods, once there are this many, none of which has the uid `without`."""

        def look() -> list[Manifest] | None:
            pods = self.pods(job)
            is_right = len(pods) == count and all(pod["metadata"]["uid"] != without for pod in pods)
            return pods if is_right else None

        return self.until(look, f"{count} pods of {job}")

    def delete_pod(self, pod: Manifest) -> None:
        """Delete the pod; one without a node is gone at once."""
        self.call("DELETE", f"/api/v1/{{here}}/pods/{pod['metadata']['name']}")

    def condition(self, job: str, kind: str) -> Manifest | None:
        """The job's condition of this type."""
        conditions = self.jobs.get(job).get("status", {}).get("conditions", [])
        return next((cast("Manifest", condition) for condition in conditions if condition["type"] == kind), None)

    def until(self, look: Callable[[], T | None], what: str, *, timeout_s: float = _PATIENCE_S) -> T:
        """What `look` finds, once it finds something; `what` says in a failure what was awaited."""
        found: list[T] = []

        def is_there() -> bool:
            value = look()
            if value:
                found[:] = [value]
            return bool(value)

        try:
            wait_until(is_there, timeout_s=timeout_s, failure=f"{what}: not within {timeout_s:.0f} s")
        except Exception as error:
            error.add_note(self.logs()[-6000:])
            raise
        return found[0]

    def run_pod(self, pod: Manifest) -> None:
        """Say what a kubelet says of a pod whose container runs."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {
            "phase": "Running",
            "podIP": "192.0.2.7",
            "podIPs": [{"ip": "192.0.2.7"}],
            "containerStatuses": [
                {
                    "name": "trainer",
                    "image": "trainer",
                    "imageID": "",
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
            ],
        }
        self._patch_pod(pod, status)

    def end_pod(self, pod: Manifest) -> None:
        """Say what a kubelet says of a pod whose container has exited with 0."""
        self._patch_pod(pod, {"phase": "Succeeded"})

    def holder(self, lease: str = "everstep-operator") -> str | None:
        """Who leads."""
        found = self.call("GET", f"/apis/coordination.k8s.io/v1/{{here}}/leases/{lease}")
        holder: str | None = found["spec"].get("holderIdentity")
        return holder

    def agent_settings(self, job: str, pod: Manifest, *, sync_url: str) -> Settings:
        """What the pod's agent finds in its container, with a token that the API server made for it."""
        metadata = pod["metadata"]
        home = self.folder / metadata["name"]
        home.mkdir()
        uid = self.jobs.get(job)["metadata"]["uid"]
        request = {
            "spec": {
                "audiences": [audience(self.namespace, uid)],
                "expirationSeconds": 3600,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]},
            }
        }
        answer = self.call("POST", "/api/v1/{here}/serviceaccounts/default/token", request)
        (home / "token").write_text(answer["status"]["token"])
        (home / "ca.crt").write_text(self.authority(job))
        return Settings(
            sync_url=sync_url,
            namespace=self.namespace,
            job=job,
            job_uid=uid,
            worker=int(metadata["labels"]["everstep.dev/worker-index"]),
            pod_uid=metadata["uid"],
            pod_ip="192.0.2.7",
            node="node1",
            grace_seconds=60,
            port=8470,
            token_file=home / "token",
            ca_file=home / "ca.crt",
            socket=home / "ranks.sock",
            shm=home / "shm",
            cache=home / "cache",
        )

    def authority(self, job: str) -> str:
        """What the job's pods trust."""
        found = self.call("GET", f"/api/v1/{{here}}/configmaps/{config_map_name(job)}")
        text: str = found["data"]["ca.crt"]
        return text

    def leader_port(self, service: str = "everstep-operator") -> int | None:
        """The port of the EndpointSlice by which agents find the leader."""
        path = f"/apis/discovery.k8s.io/v1/{{here}}/endpointslices?labelSelector=kubernetes.io/service-name={service}"
        slices = self.call("GET", path)["items"]
        return int(slices[0]["ports"][0]["port"]) if slices else None

    def events(self, job: str) -> list[Manifest]:
        """What people read about the job."""
        found = self.call("GET", "/apis/events.k8s.io/v1/{here}/events")["items"]
        return [event for event in found if event["regarding"]["name"] == job]

    def is_gone(self, job: str) -> bool:
        """Whether the API server has the job no more."""
        try:
            self.jobs.get(job)
        except Refused as refused:
            return refused.status == http.HTTPStatus.NOT_FOUND
        return False

    def _patch_pod(self, pod: Manifest, status: Manifest) -> None:
        path = f"/api/v1/{{here}}/pods/{pod['metadata']['name']}/status"
        self.call("PATCH", path, {"status": status}, kind="application/merge-patch+json")
