"""The API server and its etcd: with what certificates, flags and addresses they run."""

import http.client
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from devcluster import certificates
from devcluster.certificates import Pair
from devcluster.settings import CLUSTER_DOMAIN, EVICTION_TOLERATION_S

_ISSUER = f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """Where an API server listens and what it is made with; gives the commands of it and of its etcd."""

    binaries: Path
    folder: Path
    address: str
    port: int
    etcd_port: int
    etcd_peer_port: int
    services: IPv4Network

    @property
    def url(self) -> str:
        """Its address for clients."""
        return f"https://{self.address}:{self.port}"

    @property
    def pki(self) -> Path:
        """The folder of certificates."""
        return self.folder / "pki"

    @property
    def authority(self) -> Pair:
        """The authority of the whole cluster."""
        return certificates.make_authority(self.pki, "ca")

    def make_kubeconfig(self, name: str, *, user: str, groups: Sequence[str] = (), context: str = "cluster") -> Path:
        """Return the kubeconfig `<name>.kubeconfig` of a user."""
        client = certificates.make_leaf(self.pki, name, self.authority, user=user, groups=groups)
        path = self.folder / f"{name}.kubeconfig"
        return certificates.write_kubeconfig(
            path, server=self.url, authority=self.authority.certificate, client=client, context=context
        )

    def etcd_command(self) -> list[str | Path]:
        """Return etcd on loopback; without fsync, since a test's data need not outlive a power failure."""
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, self.etcd_peer_port))
        return [
            self.binaries / "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def command(self) -> list[str | Path]:
        """Return the API server; its certificates are made on the way."""
        ca = self.authority
        hosts = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
        ]
        first_service = str(self.services[1])
        serving = certificates.make_leaf(
            self.pki,
            "apiserver",
            ca,
            user="kube-apiserver",
            usage="server",
            hosts=[*hosts, "localhost", "127.0.0.1", self.address, first_service],
        )
        to_kubelet = certificates.make_leaf(
            self.pki, "apiserver-kubelet-client", ca, user="kube-apiserver-kubelet-client", groups=["system:masters"]
        )
        front = certificates.make_authority(self.pki, "front-proxy-ca")
        proxy = certificates.make_leaf(self.pki, "front-proxy-client", front, user="front-proxy-client")
        tokens = certificates.make_signing_key(self.pki, "sa")
        return [
            self.binaries / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--service-cluster-ip-range={self.services}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            # Webhooks are called at their pods' addresses: kube-proxy does not run where the API server does.
            "--enable-aggregator-routing=true",
            f"--default-not-ready-toleration-seconds={EVICTION_TOLERATION_S}",
            f"--default-unreachable-toleration-seconds={EVICTION_TOLERATION_S}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--client-ca-file={ca.certificate}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--kubelet-client-certificate={to_kubelet.certificate}",
            f"--kubelet-client-key={to_kubelet.key}",
            f"--kubelet-certificate-authority={ca.certificate}",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={tokens}",
            f"--service-account-signing-key-file={tokens}",
            f"--requestheader-client-ca-file={front.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={proxy.certificate}",
            f"--proxy-client-key-file={proxy.key}",
        ]

    def is_ready(self) -> bool:
        """Whether the API server answers /readyz with success."""
        client = certificates.make_leaf(self.pki, "admin", self.authority, user="admin", groups=["system:masters"])
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(client.certificate, client.key)
        connection = http.client.HTTPSConnection(self.address, self.port, context=context, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
