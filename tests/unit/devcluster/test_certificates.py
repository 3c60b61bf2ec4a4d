"""Certificates verify against their authority, name who and what they should, and are made once."""

import base64
import json
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devcluster import certificates
from devcluster.certificates import Pair


def read(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def test_a_client_certificate_names_its_user_and_groups_and_is_signed_by_its_authority(tmp_path: Path) -> None:
    authority = certificates.make_authority(tmp_path, "ca")
    leaf = read(certificates.make_leaf(tmp_path, "admin", authority, user="ada", groups=["system:masters", "staff"]))
    leaf.verify_directly_issued_by(read(authority))
    assert [name.value for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["ada"]
    groups = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [name.value for name in groups] == ["system:masters", "staff"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_server_certificate_is_accepted_for_its_names_and_addresses_alone(tmp_path: Path) -> None:
    """By the TLS stack itself: a handshake in memory."""
    authority = certificates.make_authority(tmp_path, "ca")
    server = certificates.make_leaf(
        tmp_path, "server", authority, user="server", usage="server", hosts=["api.example", "10.0.0.1"]
    )
    accepted = {host: shake_hands(server, authority, host) for host in ("api.example", "10.0.0.1", "other.example")}
    assert accepted == {"api.example": True, "10.0.0.1": True, "other.example": False}


def test_what_was_made_once_is_kept(tmp_path: Path) -> None:
    authority = certificates.make_authority(tmp_path, "ca")
    first = certificates.make_leaf(tmp_path, "admin", authority, user="ada")
    signing = certificates.make_signing_key(tmp_path, "sa").read_bytes()
    before = (read(authority).serial_number, read(first).serial_number)
    again = certificates.make_leaf(tmp_path, "admin", certificates.make_authority(tmp_path, "ca"), user="ada")
    assert (read(authority).serial_number, read(again).serial_number) == before
    assert certificates.make_signing_key(tmp_path, "sa").read_bytes() == signing


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    authority = certificates.make_authority(tmp_path, "ca")
    assert authority.key.stat().st_mode & 0o077 == 0
    assert certificates.make_signing_key(tmp_path, "sa").stat().st_mode & 0o077 == 0


def test_a_kubeconfig_works_wherever_it_is_copied(tmp_path: Path) -> None:
    """It holds its certificates instead of paths to them."""
    authority = certificates.make_authority(tmp_path, "ca")
    client = certificates.make_leaf(tmp_path, "admin", authority, user="ada")
    path = certificates.write_kubeconfig(
        tmp_path / "kubeconfig",
        server="https://10.0.0.1:6443",
        authority=authority.certificate,
        client=client,
        context="c",
    )
    config = json.loads(path.read_text())
    assert config["current-context"] == "c"
    assert str(tmp_path) not in path.read_text()
    held = base64.b64decode(config["users"][0]["user"]["client-certificate-data"])
    assert held == client.certificate.read_bytes()
    key = load_pem_private_key(base64.b64decode(config["users"][0]["user"]["client-key-data"]), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)


def shake_hands(server: Pair, authority: Pair, host: str) -> bool:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server.certificate, server.key)
    asking = ssl.create_default_context(cafile=str(authority.certificate))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = serving.wrap_bio(to_server, to_client, server_side=True)
    right = asking.wrap_bio(to_client, to_server, server_hostname=host)
    done = set()
    for _ in range(10):
        for side in (right, left):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return len(done) == 2
