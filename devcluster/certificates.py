"""Certificates and kubeconfigs of a cluster: an authority, and a leaf for each who speaks TLS."""

import base64
import datetime as dt
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=3650)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


def make_authority(folder: Path, name: str) -> Pair:
    """Return the authority `name`, made if `folder` has none."""
    pair = _pair(folder, name)
    if pair.certificate.exists():
        return pair
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(subject, issuer=subject, key=key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    _write(pair, builder.sign(key, hashes.SHA256()), key)
    return pair


def make_leaf(
    folder: Path,
    name: str,
    authority: Pair,
    *,
    user: str,
    groups: Sequence[str] = (),
    usage: Literal["client", "server"] = "client",
    hosts: Sequence[str] = (),
) -> Pair:
    """Return the certificate `name` signed by `authority`, made if `folder` has none.

    Args:
        folder: where it lies.
        name: its file name.
        authority: who signs it.
        user: common name, which is the user's name for Kubernetes.
        groups: organizations, which are the user's groups for Kubernetes.
        usage: what it may be used for.
        hosts: names and addresses of a server.
    """
    pair = _pair(folder, name)
    if pair.certificate.exists():
        return pair
    key = ec.generate_private_key(ec.SECP256R1())
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    extended = ExtendedKeyUsageOID.SERVER_AUTH if usage == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(subject, issuer=issuer.subject, key=key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([extended]), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    signer = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 - make_authority wrote it
    _write(pair, builder.sign(signer, hashes.SHA256()), key)
    return pair


def make_signing_key(folder: Path, name: str) -> Path:
    """Return an RSA key for service-account tokens, made if `folder` has none: what most clusters sign with."""
    path = folder / f"{name}.key"
    if not path.exists():
        _write_atomically(path, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    return path


def write_kubeconfig(path: Path, *, server: str, authority: Path, client: Pair, context: str) -> Path:
    """Write a kubeconfig of one context, its certificates inside, so that it works wherever it is copied."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {"name": context, "cluster": {"server": server, "certificate-authority-data": _base64(authority)}}
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate-data": _base64(client.certificate),
                    "client-key-data": _base64(client.key),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    _write_atomically(path, json.dumps(config, indent=2).encode())
    return path


def _pair(folder: Path, name: str) -> Pair:
    return Pair(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")


def _builder(subject: x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(pair: Pair, certificate: x509.Certificate, key: Key) -> None:
    # The key first: a certificate that exists has its key, whenever this is cut off.
    _write_atomically(pair.key, _pem(key))
    _write_atomically(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.replace(path)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
