"""Nodes that are only objects: pods on them run without running, by the thousand, on a real API server."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from devcluster import processes
from devcluster.kubectl import Kubectl, Manifest
from devcluster.problem import DevclusterError
from devcluster.settings import NODE_GRACE_PERIOD_S
from devcluster.waiting import wait_until

MAX_FAKE_NODES = 5000  # what Kubernetes is made for; names end at four digits

_LABEL = "kwok.x-k8s.io/node"
_SELECTOR = f"{_LABEL}=fake"
_NODE_ADDRESS = "198.19.0.1"  # these two are set aside for measurements (RFC 2544): nobody is reached by mistake
_POD_ADDRESSES = "198.18.0.1/16"
_LEASE_S = NODE_GRACE_PERIOD_S * 3 // 2
"""kwok renews a lease after a quarter of its time: every 3 s, so that one may be late before a node is NotReady."""

_BATCH = 100  # so many take a second or two
_TIMEOUT_S = 60.0
_SECONDS_PER_NODE = 0.2  # on a busy machine; 10 ms is usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Kwok:
    """The fake nodes of one cluster, and the process on this machine that speaks for them."""

    kubectl: Kubectl
    program: Path
    folder: Path
    """Takes its configuration and its log."""
    mark: str
    """What its process is found by."""

    def scale(self, nodes: int) -> None:
        """Return once there are exactly `nodes` fake nodes, all of them Ready; 0 ends the process too.

        They are named fake-0001 and so on, carry the label and the taint `kwok.x-k8s.io/node=fake`, and have 1,000
        cores and 1,000 pods each. Pods on them are Running and Ready at once, and end only when deleted.
        """
        if not 0 <= nodes <= MAX_FAKE_NODES:
            raise DevclusterError(f"{nodes} fake nodes are asked for; choose 0 to {MAX_FAKE_NODES}.")
        wanted = [f"fake-{number:04}" for number in range(1, nodes + 1)]
        present = self._present()
        for batch in _batches(sorted(present - set(wanted))):
            self._delete(batch)
        if wanted and not processes.find(self.mark):
            self._start()
        for batch in _batches(sorted(set(wanted) - present)):
            self.kubectl.apply([_node(name) for name in batch])
        # `kubectl wait` would watch one node after the other, ten a second.
        wait_until(
            lambda: self._present() == set(wanted) and self._ready() == nodes,
            timeout_s=_TIMEOUT_S + nodes * _SECONDS_PER_NODE,
            failure=f"There are not {nodes} fake nodes that are Ready; see {self.folder / 'kwok.log'}.",
        )
        if not wanted:
            processes.end(processes.find(self.mark))

    def _delete(self, names: Sequence[str]) -> None:
        """Delete them in one request; `kubectl delete` would send two for each, ten a second."""
        selector = quote(f"kubernetes.io/hostname in ({','.join(names)})")
        self.kubectl.run("delete", f"--raw=/api/v1/nodes?labelSelector={selector}")

    def _present(self) -> set[str]:
        return set(self._ask("{.items[*].metadata.name}"))

    def _ready(self) -> int:
        return self._ask('{.items[*].status.conditions[?(@.type=="Ready")].status}').count("True")

    def _ask(self, path: str) -> list[str]:
        return self.kubectl.run("get", "nodes", f"--selector={_SELECTOR}", f"--output=jsonpath={path}").split()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        stages = self.folder / "stages.yaml"
        stages.write_text("\n---\n".join(json.dumps(stage) for stage in _STAGES), encoding="utf-8")
        processes.spawn(
            [
                self.program,
                f"--kubeconfig={self.kubectl.kubeconfig}",
                f"--config={stages}",
                f"--manage-nodes-with-label-selector={_SELECTOR}",
                f"--node-lease-duration-seconds={_LEASE_S}",
                f"--node-ip={_NODE_ADDRESS}",
                f"--cidr={_POD_ADDRESSES}",
                "--node-port=0",  # no server: a second cluster's kwok would find the port taken
            ],
            mark=self.mark,
            log=self.folder / "kwok.log",
        )


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


def _node(name: str) -> Manifest:
    labels = {_LABEL: "fake", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": _LABEL, "value": "fake", "effect": "NoSchedule"}]},
    }


def _stage(name: str, kind: str, *, when: Sequence[tuple[str, str, Sequence[str]]], then: Manifest) -> Manifest:
    expressions = [
        {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
        for key, operator, values in when
    ]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": expressions},
            "next": then,
        },
    }


_NODE_STATUS = """\
conditions:
- type: Ready
  status: "True"
  reason: KubeletReady
  message: a fake node
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
addresses:
- {type: InternalIP, address: {{ NodeIP }}}
- {type: Hostname, address: {{ .metadata.name }}}
capacity: {cpu: "1000", memory: 4Ti, pods: "1000"}
allocatable: {cpu: "1000", memory: 4Ti, pods: "1000"}
nodeInfo: {architecture: amd64, operatingSystem: linux, kubeletVersion: v0.0.0-fake}
"""

_POD_STATUS = """\
phase: Running
startTime: {{ Now | Quote }}
conditions:
{{ range list "Initialized" "ContainersReady" "Ready" }}
- {type: {{ . }}, status: "True", lastTransitionTime: {{ Now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name }}
  image: {{ Quote .image }}
  imageID: fake
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ Now | Quote }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name }}
  image: {{ Quote .image }}
  imageID: fake
  ready: true
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed}}
{{ end }}
{{ $addresses := PodIPsWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace }}
podIP: {{ index $addresses 0 }}
podIPs: [{ip: {{ index $addresses 0 }}}]
"""

_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_DELETED = ".metadata.deletionTimestamp"

# What the leases do not say. There is no heartbeat: a fresh lease is enough for Kubernetes, and a node that it gave
# up while the API server was away is no longer Ready, so that it is made Ready again.
_STAGES = (
    _stage("node-ready", "Node", when=[(_READY, "NotIn", ["True"])], then={"statusTemplate": _NODE_STATUS}),
    _stage(
        "pod-ready",
        "Pod",
        when=[(_DELETED, "DoesNotExist", []), (".status.phase", "In", ["Pending"])],
        then={"statusTemplate": _POD_STATUS},
    ),
    _stage("pod-deleted", "Pod", when=[(_DELETED, "Exists", [])], then={"delete": True}),
)
