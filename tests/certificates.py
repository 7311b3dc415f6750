"""Certificates for tests: a CA as KubeEdge makes it, and what it signs, as PEM files."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeedge_actors.drivers.link.base import LinkTls

DAY = datetime.timedelta(days=1)


class TestCa:
    """A certificate authority with its files in `folder`; P-256, no key identifiers, as the original's."""

    __test__ = False

    def __init__(self, folder: Path, name: str = "KubeEdge") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self._cert = (
            _builder(self._name, self._name, self._key.public_key(), 3650 * DAY)
            .add_extension(constraints, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path = _write(folder / f"{name}-ca.crt", self._cert.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str, life: datetime.timedelta = DAY) -> LinkTls:
        """Files of a server that is reached by these host names or addresses; `life` below zero: expired."""
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        return self._issue("KubeEdge", "KubeEdge", life, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, common_name: str, organization: str = "system:nodes", life: datetime.timedelta = DAY) -> LinkTls:
        """Files of a client."""
        return self._issue(common_name, organization, life, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    @property
    def der(self) -> bytes:
        """The CA's certificate, DER."""
        return self._cert.public_bytes(serialization.Encoding.DER)

    def sign(self, request: x509.CertificateSigningRequest) -> x509.Certificate:
        """The client certificate that a node asks for."""
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(request.subject, self._name, key, 365 * DAY).add_extension(usage, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _issue(
        self,
        common_name: str,
        organization: str,
        life: datetime.timedelta,
        usage: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
    ) -> LinkTls:
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, organization)]
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])
        builder = _builder(subject, self._name, key.public_key(), life)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        stem = self._folder / f"{cert.serial_number:x}"
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        return LinkTls(
            ca=self.path,
            cert=_write(stem.with_suffix(".crt"), cert.public_bytes(serialization.Encoding.PEM)),
            key=_write(stem.with_suffix(".key"), pem),
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * DAY)
        .not_valid_after(now + life)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)
