"""The sync API's keys: an authority of ten years, the key of the worlds' secrets, and a leaf for whoever serves.

The authority is what workers trust; it and the secret key are kept beside the operator and outlive every leader. Each
leader signs a leaf of its own, so that no private key is ever sent anywhere.
"""

import datetime as dt
import ipaddress
import secrets
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LASTS = dt.timedelta(days=3650)
_LEAF_LASTS = dt.timedelta(days=365)
"""A leader that runs for longer than that has missed every security fix of a year."""

_CLOCKS_DIFFER = dt.timedelta(hours=1)
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What all leaders share."""

    certificate_pem: bytes
    """Of the authority; workers get it."""
    key_pem: bytes = field(repr=False)
    """Of the authority."""
    secret: bytes = field(repr=False)
    """The secrets of the worlds follow from it."""

    @classmethod
    def make(cls) -> Self:
        """Make new ones."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "everstep")])
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
        certificate = (
            _builder(name, issuer=name, key=key, lasts=_AUTHORITY_LASTS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate_pem=_pem(certificate), key_pem=_key_pem(key), secret=secrets.token_bytes(_SECRET_BYTES))

    def server_context(self, hosts: Sequence[str]) -> ssl.SSLContext:
        """A context that serves as these host names and addresses, by a leaf that it signs now."""
        authority = x509.load_pem_x509_certificate(self.certificate_pem)
        signer = serialization.load_pem_private_key(self.key_pem, password=None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError("The key of the sync API's authority is no elliptic one; delete the Secret that holds it.")
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        leaf = (
            _builder(name, issuer=authority.subject, key=key, lasts=_LEAF_LASTS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
            .sign(signer, hashes.SHA256())
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # The ssl module reads chains from files alone; this one is gone as soon as it was read.
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder) / "chain.pem"
            chain.touch(mode=0o600)
            chain.write_bytes(_pem(leaf) + _key_pem(key))
            context.load_cert_chain(chain)
        return context


def _builder(
    name: x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
