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
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from kubeedge_actors.drivers.pki.base import KeyPair
from kubeedge_actors.errors import CertificateError, DriverError
from kubeedge_actors.kubernetes.certificates.info import CLIENT_AUTH, HUB_NAME, SERVER_AUTH, Subject

CA_DAYS = 100 * 364
CA_SERIAL = 1024
SKEW = timedelta(minutes=5)
USAGES = {
    SERVER_AUTH: ExtendedKeyUsageOID.SERVER_AUTH,
    CLIENT_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH,
}
STRONG_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
STRONG_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
RSA_BITS = (2048, 8192)
HARMLESS_EXTENSIONS = (ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.SUBJECT_KEY_IDENTIFIER)
"""What a request may ask for, since it is given to every node anyway."""


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


def sign_csr(ca: KeyPair, csr: bytes, subject: Subject, days: float, now: float) -> bytes:
    """A client certificate for a request of this subject that is signed by its own strong key and asks for nothing more.

    Nothing but the key is taken from the request. `CertificateError` when it must not be signed, `DriverError` when it can
    not be understood.
    """
    request, public = _request(csr)
    if _values(request, NameOID.COMMON_NAME) != [subject.common_name]:
        raise CertificateError(f"the common name of the CSR is not {subject.common_name}")
    if _values(request, NameOID.ORGANIZATION_NAME) != [subject.organization]:
        raise CertificateError(f"the organization of the CSR is not {subject.organization}")
    _check_strength(request, public)
    if asked := sorted(_requested_extensions(request)):
        raise CertificateError(f"the CSR asks for {', '.join(asked)}, which no node's certificate has")
    return _signed(ca, _name(subject), public, (CLIENT_AUTH,), None, days, now)


def _request(csr: bytes) -> tuple[x509.CertificateSigningRequest, CertificatePublicKeyTypes]:
    try:
        request = x509.load_der_x509_csr(csr)
        public, genuine = request.public_key(), request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DriverError(f"failed to parse csr, err: {str(error).partition(chr(10))[0]}") from error
    if not genuine:
        raise DriverError("failed to parse csr, err: it is not signed by its own key")
    return request, public


def _check_strength(request: x509.CertificateSigningRequest, public: CertificatePublicKeyTypes) -> None:
    """`CertificateError` for a key or a signature that somebody with patience could forge, or that is too slow to check."""
    match public:
        case ec.EllipticCurvePublicKey() if isinstance(public.curve, STRONG_CURVES):
            pass
        case rsa.RSAPublicKey() if RSA_BITS[0] <= public.key_size <= RSA_BITS[1]:
            pass
        case _:
            raise CertificateError(
                f"the key of the CSR is not good enough ({_key_words(public)}): it has to be of P-256, P-384, P-521 or RSA "
                f"of {RSA_BITS[0]} to {RSA_BITS[1]} bits"
            )
    algorithm = request.signature_hash_algorithm
    if not isinstance(algorithm, STRONG_HASHES):
        raise CertificateError(
            f"the CSR is signed with {algorithm.name if algorithm else 'no hash'}, which is too weak"
        )


def _key_words(public: CertificatePublicKeyTypes) -> str:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.curve.name
    return f"RSA of {public.key_size} bits" if isinstance(public, rsa.RSAPublicKey) else "of another kind"


def _requested_extensions(request: x509.CertificateSigningRequest) -> set[str]:
    """What a request asks for beyond what every node's certificate has, by name."""
    try:
        asked = list(request.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise DriverError(f"failed to parse csr, err: {error}") from error
    extra = {_extension_words(extension) for extension in asked if extension.oid not in HARMLESS_EXTENSIONS}
    for extension in asked:
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            extra |= {"another usage than clientAuth"} if set(extension.value) != {USAGES[CLIENT_AUTH]} else set()
    return extra


def _extension_words(extension: x509.Extension[x509.ExtensionType]) -> str:
    if not isinstance(extension.value, x509.SubjectAlternativeName):
        return f"the extension {extension.oid.dotted_string}"
    return f"the names {', '.join(str(name.value) for name in extension.value)}"


def _values(request: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid)]


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
    public: CertificatePublicKeyTypes,
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
    public: CertificatePublicKeyTypes,
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
