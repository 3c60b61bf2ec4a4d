"""How this process speaks to its API server: by its service account in a pod, by a kubeconfig elsewhere."""

from dataclasses import dataclass, field
from pathlib import Path

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config


class CredentialsError(Exception):
    """There are none; the text says where they were looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are to which server, at this moment: tokens are exchanged while a pod lives."""

    server: str
    authority_file: str | None
    certificate_file: str | None
    key_file: str | None
    authorization: str | None = field(repr=False)
    """The header's value, `Bearer …`."""


async def load_configuration(kubeconfig: Path | None) -> Configuration:
    """The settings of the library's client; each caller gets its own, for its own event loop.

    Raises:
        CredentialsError: the file is none, or there is no file and this is no pod.
    """
    configuration = Configuration()
    try:
        if kubeconfig is not None:
            await load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]  # has no types
        else:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # has no types
    except (ConfigException, OSError) as error:
        where = f"the kubeconfig {kubeconfig}" if kubeconfig is not None else "the service account of this pod"
        raise CredentialsError(
            f"There are no credentials in {where} ({error}); run in a pod, or give --kubeconfig."
        ) from error
    return configuration


async def load_credentials(kubeconfig: Path | None) -> Credentials:
    """The same as values, read anew."""
    configuration = await load_configuration(kubeconfig)
    return Credentials(
        server=configuration.host,
        authority_file=configuration.ssl_ca_cert,
        certificate_file=configuration.cert_file,
        key_file=configuration.key_file,
        authorization=await configuration.get_api_key_with_prefix("BearerToken"),
    )
