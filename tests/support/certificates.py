"""Certificates for tests: a CA as KubeEdge makes it, and what it signs, as PEM files."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.worker_protocol import CreateCsr, execute
from kubeedge_actors.kubernetes.certificates.info import node_subject

DAY = datetime.timedelta(days=1)


class TestCa:
    """A certificate authority with its files in `folder`; P-256, as the original's.

    What it signs is as RFC 5280 demands and strict verification checks. `identified=False`: as older tools make
    certificates, without key identifiers and key usage.
    """

    __test__ = False

    def __init__(self, folder: Path, name: str = "KubeEdge", *, identified: bool = True) -> None:
        self._folder, self._identified = folder, identified
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._cert = self._signed(self._name, self._key.public_key(), 3650 * DAY, authority=True)
        self.path = _write(folder / f"{name}-ca.crt", self._cert.public_bytes(serialization.Encoding.PEM))
        self.key_path = _write(folder / f"{name}-ca.key", _pem(self._key))

    def server(self, *names: str, life: datetime.timedelta = DAY) -> TlsPaths:
        """Files of a server that is reached by these host names or addresses; `life` below zero: expired."""
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        return self._issue("KubeEdge", "KubeEdge", life, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, common_name: str, organization: str = "system:nodes", life: datetime.timedelta = DAY) -> TlsPaths:
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
        return self._signed(request.subject, key, 365 * DAY, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))

    def _issue(
        self,
        common_name: str,
        organization: str,
        life: datetime.timedelta,
        usage: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
    ) -> TlsPaths:
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, organization)]
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])
        extensions: list[x509.ExtensionType] = [x509.ExtendedKeyUsage([usage])]
        if alternatives is not None:
            extensions.append(alternatives)
        cert = self._signed(subject, key.public_key(), life, *extensions)
        stem = self._folder / f"{cert.serial_number:x}"
        return TlsPaths(
            ca=self.path,
            cert=_write(stem.with_suffix(".crt"), cert.public_bytes(serialization.Encoding.PEM)),
            key=_write(stem.with_suffix(".key"), _pem(key)),
        )

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        life: datetime.timedelta,
        *extensions: x509.ExtensionType,
        authority: bool = False,
    ) -> x509.Certificate:
        builder = _builder(subject, self._name, key, life)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        for extension in (*extensions, *self._identifiers(key)):
            builder = builder.add_extension(extension, critical=False)
        if self._identified:
            builder = builder.add_extension(_key_usage(authority), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def _identifiers(self, key: ec.EllipticCurvePublicKey) -> Sequence[x509.ExtensionType]:
        if not self._identified:
            return ()
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.SubjectKeyIdentifier.from_public_key(key), issuer


def signing_spec(node: str, signer: str = "kubernetes.io/kubelet-serving") -> dict[str, Any]:
    """The spec of a CertificateSigningRequest in which a node asks a cluster for a certificate of its own."""
    csr = x509.load_der_x509_csr(execute(CreateCsr(node_subject(node))).cert)
    return {"request": base64.b64encode(csr.public_bytes(serialization.Encoding.PEM)).decode(), "signerName": signer}


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
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


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)
