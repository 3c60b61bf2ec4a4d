"""What a node's daemons are told: containerd, its pod network, the kubelet, kube-proxy."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from devcluster.certificates import Pair
from devcluster.images import PAUSE
from devcluster.settings import CLUSTER_DOMAIN

_CNI_PLUGINS = "/usr/lib/cni"


def containerd(folder: Path) -> str:
    """Return the configuration of the containerd whose node has the disk `folder`."""
    return f"""\
version = 2
root = "{folder / "containerd"}"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE runc dies of a negative score, with "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_CNI_PLUGINS}"
    conf_dir = "{folder / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def cni(pods: IPv4Network) -> dict[str, Any]:
    """Return a pod network: a bridge on the node, whose addresses are those of `pods`."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": str(pods)}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}


def kubelet(folder: Path, *, cgroup: str, dns: IPv4Address, clients: Pair, serving: Pair) -> dict[str, Any]:
    """Return a KubeletConfiguration.

    Args:
        folder: the node's disk.
        cgroup: the control group below which pods live.
        dns: the cluster's resolver.
        clients: the authority of those who may call the kubelet.
        serving: the kubelet's certificate.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # cgroup v1 is refused unless one asks for it; a machine with v2 is not affected.
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failSwapOn": False,
        # Lower values need CAP_SYS_RESOURCE, which a machine like a container may lack.
        "oomScoreAdj": 0,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(clients.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [str(dns)],
        "resolvConf": str(folder / "resolv.conf"),
        "volumePluginDir": str(folder / "kubelet" / "volumeplugins"),
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "100Mi",
            "imagefs.available": "100Mi",
            "nodefs.inodesFree": "1%",
        },
        # Images are loaded, not pulled: one that was collected could not come back.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "maxPods": 250,
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "10s",
        "nodeLeaseDurationSeconds": 4,
    }


def kube_proxy(name: str, pods: IPv4Network, kubeconfig: Path) -> dict[str, Any]:
    """Return a KubeProxyConfiguration of node `name` in a cluster with the addresses `pods`."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": str(pods),
        "hostnameOverride": name,
        "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        # Zeros: the table's size belongs to the whole machine.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nodePortAddresses": ["primary"],
    }
