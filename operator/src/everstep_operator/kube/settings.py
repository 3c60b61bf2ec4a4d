"""What an operator in a cluster is told at its start: by flags, and about its own pod by the environment."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from everstep_api.job import DEFAULT_CONTROLLER
from everstep_operator.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeSettings:
    """One operator process of a cluster."""

    namespace: str
    """Where the operator, its keys, its Lease, its Service and the profiles are."""
    instance: str
    """Name of this process's pod."""
    address: str
    """Where agents reach this process."""
    namespaces: tuple[str, ...]
    """Whose jobs it runs; none: those of all."""
    controller: str
    """The name by which jobs choose it: `managedBy`."""
    service: str
    """Service of the sync API; Lease and Secret are named after it."""
    sync_port: int
    probe_port: int
    """Health and metrics, plain HTTP."""
    kubeconfig: Path | None
    operator: Settings
    calls_per_s: float = 200.0
    calls_burst: int = 400
    """Our pace at the API server. A status write costs it some ms, so this leaves room for everybody else."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses that the sync API is called by; loopback is for `kubectl port-forward`."""
        name = f"{self.service}.{self.namespace}.svc"
        return (name, f"{self.service}.{self.namespace}", self.address, "localhost", "127.0.0.1")

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The namespaces to look at; None stands for all."""
        return self.namespaces or (None,)


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> KubeSettings:
    """Read flags and environment; what is missing or malformed ends the process with a sentence, as is usual for flags.

    Args:
        arguments: Those after the program's name.
        environment: Its `POD_NAMESPACE`, `POD_NAME` and `POD_IP` stand in for the flags about the pod.
    """
    parser = argparse.ArgumentParser(prog="python -m everstep_operator", description="Runs TrainingJobs in a cluster.")
    for flag, variable, words in (
        ("--namespace", "POD_NAMESPACE", "namespace of this pod"),
        ("--pod-name", "POD_NAME", "name of this pod"),
        ("--pod-ip", "POD_IP", "address of this pod"),
    ):
        known = environment.get(variable)
        parser.add_argument(flag, default=known, required=not known, help=f"{words} (default: ${variable})")
    parser.add_argument("--watch-namespace", action="append", default=[], help="run jobs of this one; may be repeated")
    parser.add_argument("--controller-name", default=DEFAULT_CONTROLLER, help="run jobs with this managedBy")
    parser.add_argument("--service", default="everstep-operator", help="Service of the sync API")
    parser.add_argument("--sync-port", type=int, default=8443, help="port of the sync API, in pod and Service")
    parser.add_argument("--probe-port", type=int, default=8080, help="port of health and metrics")
    parser.add_argument("--image", help="image of the workers (default: this release's)")
    parser.add_argument("--no-network-policies", action="store_true", help="give jobs no NetworkPolicy")
    parser.add_argument("--kubeconfig", type=Path, help="credentials, for a process outside of the cluster")
    given = parser.parse_args(arguments)
    image = {"image": given.image} if given.image else {}
    return KubeSettings(
        namespace=given.namespace,
        instance=given.pod_name,
        address=given.pod_ip,
        namespaces=tuple(given.watch_namespace),
        controller=given.controller_name,
        service=given.service,
        sync_port=given.sync_port,
        probe_port=given.probe_port,
        kubeconfig=given.kubeconfig,
        operator=Settings(
            sync_url=f"https://{given.service}.{given.namespace}.svc:{given.sync_port}",
            namespace=given.namespace,
            network_policies=not given.no_network_policies,
            **image,
        ),
    )
