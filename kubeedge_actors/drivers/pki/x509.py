"""Everything that needs the cryptography library, in terms of DER bytes. Import it late: it costs 16 MB of memory.

Keys are EC P-256, because the original's cipher suites admit no other server key and it parses SEC 1 keys. The
extensions are those that Python 3.13's strict verification demands (key usage, key identifiers, basic constraints).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeedge_actors.drivers.pki.base import (
    CLIENT_AUTH,
    HUB_NAME,
    SERVER_AUTH,
    KeyPair,
    Subject,
)
from kubeedge_actors.errors import CertificateError, DriverError

CA_DAYS = 100 * 364
CA_SERIAL = 1024
SKEW = timedelta(minutes=5)
USAGES = {
    SERVER_AUTH: ExtendedKeyUsageOID.SERVER_AUTH,
    CLIENT_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH,
}


def new_authority(now: float) -> KeyPair:
    """A self-signed CA (source: KubeEdge pkg/security/certs/x509_ca.go)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HUB_NAME)])
    own_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = _builder(name, name, key.public_key(), own_id, CA_DAYS, now, authority=True).serial_number(CA_SERIAL)
    builder = builder.add_extension(_extended_usages((SERVER_AUTH, CLIENT_AUTH)), critical=False)
    return KeyPair(_der(builder.sign(key, hashes.SHA256())), _key_der(key))


def issue(
    ca: KeyPair,
    subject: Subject,
    usages: Sequence[int],
    names: Sequence[str],
    days: float,
    now: float,
) -> KeyPair:
    """A new key and a certificate for it; `names` may hold IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(subject)
    return KeyPair(
        _signed(ca, name, key.public_key(), usages, _alternative(names), days, now),
        _key_der(key),
    )


def new_csr(subject: Subject) -> tuple[bytes, bytes]:
    """A certificate request and its new private key (source: KubeEdge edge/pkg/edgehub/certificate/certmanager.go)."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [
        (NameOID.COUNTRY_NAME, "CN"),
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.LOCALITY_NAME, "Hangzhou"),
        (NameOID.STATE_OR_PROVINCE_NAME, "Zhejiang"),
        (NameOID.COMMON_NAME, subject.common_name),
    ]
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER), _key_der(key)


def sign_csr(
    ca: KeyPair,
    csr: bytes,
    subject: Subject,
    usages: Sequence[int],
    reserved: Sequence[str],
    days: float,
    now: float,
) -> bytes:
    """A certificate for a request of this subject that is signed by its own key and claims no reserved name.

    `CertificateError` when it must not be signed, `DriverError` when it can not be understood.
    """
    request, public = _request(csr)
    if _values(request, NameOID.COMMON_NAME) != [subject.common_name]:
        raise CertificateError(f"the common name of the CSR is not {subject.common_name}")
    if _values(request, NameOID.ORGANIZATION_NAME) != [subject.organization]:
        raise CertificateError(f"the organization of the CSR is not {subject.organization}")
    names = _requested_names(request)
    if taken := sorted(set(names) & set(reserved)):
        raise CertificateError(f"the CSR claims {', '.join(taken)}, which belongs to the cloud")
    return _signed(ca, _name(subject), public, usages, _alternative(names), days, now)


def _request(csr: bytes) -> tuple[x509.CertificateSigningRequest, ec.EllipticCurvePublicKey]:
    try:
        request = x509.load_der_x509_csr(csr)
        public, genuine = request.public_key(), request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DriverError(f"failed to parse csr, err: {str(error).partition(chr(10))[0]}") from error
    if not genuine or not isinstance(public, ec.EllipticCurvePublicKey):
        raise DriverError("failed to parse csr, err: it is not signed by its own EC key")
    return request, public


def _values(request: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid)]


def _requested_names(request: x509.CertificateSigningRequest) -> list[str]:
    try:
        alt_names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except ValueError as error:
        raise DriverError(f"failed to parse csr, err: {error}") from error
    addresses = [str(address) for address in alt_names.get_values_for_type(x509.IPAddress)]
    return [*alt_names.get_values_for_type(x509.DNSName), *addresses]


def _alternative(names: Sequence[str]) -> x509.SubjectAlternativeName | None:
    return x509.SubjectAlternativeName([_general_name(name) for name in names]) if names else None


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(subject: Subject) -> x509.Name:
    parts = (
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.COMMON_NAME, subject.common_name),
    )
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def _signed(
    ca: KeyPair,
    name: x509.Name,
    public: ec.EllipticCurvePublicKey,
    usages: Sequence[int],
    alternative: x509.SubjectAlternativeName | None,
    days: float,
    now: float,
) -> bytes:
    issuer, signer = load_pair(ca)
    serial = x509.random_serial_number() >> 97  # below 2^63, as the original's
    builder = _builder(name, issuer.subject, public, _issuer_id(issuer), days, now, authority=False)
    builder = builder.serial_number(serial or 1).add_extension(_extended_usages(usages), critical=False)
    if alternative is not None:
        builder = builder.add_extension(alternative, critical=False)
    return _der(builder.sign(signer, hashes.SHA256()))


def load_pair(pair: KeyPair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Certificate and key as objects; `CertificateError` when they are not an EC pair."""
    try:
        certificate = x509.load_der_x509_certificate(pair.cert)
        key = serialization.load_der_private_key(pair.key, None)
    except (ValueError, TypeError) as error:
        raise CertificateError("the CA's certificate or key is damaged") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError("the CA's key does not belong to its certificate, or is not an EC key")
    return certificate, key


def _builder(
    name: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer_id: x509.AuthorityKeyIdentifier,
    days: float,
    now: float,
    *,
    authority: bool,
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now, UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public)
    builder = builder.not_valid_before(start - SKEW).not_valid_after(start + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return builder.add_extension(issuer_id, critical=False)


def _issuer_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the issuer names its own key: another maker may not use the usual hash, and OpenSSL compares."""
    try:
        named = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _extended_usages(usages: Sequence[int]) -> x509.ExtendedKeyUsage:
    unknown = [usage for usage in usages if usage not in USAGES]
    if unknown or not usages:
        raise CertificateError(f"only the key usages 1 (serverAuth) and 2 (clientAuth) are given, not {list(usages)}")
    return x509.ExtendedKeyUsage([USAGES[usage] for usage in dict.fromkeys(usages)])


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _key_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
