"""TLS of the stream server: the API server's certificate and those of other replicas are verified, each against its CA."""

from __future__ import annotations

import ssl

from kubeedge_actors.drivers.kubelet.base import ClientIdentity, Name
from kubeedge_actors.drivers.link.server_tls import server_context
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import CertificateError
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import why_not_the_clouds


def kubelet_context(tls: TlsPaths, client_ca: bytes) -> ssl.SSLContext:
    """For the server: a client certificate may be shown, one of a CA that is not ours nor in `client_ca` (PEM) ends the handshake.

    `CertificateError`: a file does not serve.
    """
    context = server_context(tls)
    context.verify_mode = ssl.CERT_OPTIONAL
    try:
        context.load_verify_locations(cadata=client_ca.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise CertificateError(f"the CA of the API server's client certificate does not serve: {error}") from error
    return context


def replica_context(own: TlsPaths, shown: TlsPaths) -> ssl.SSLContext:
    """For a client of another replica: `own` names us, `shown` is what all replicas show to the API server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # a pod's address; `check_replica` looks at whose the certificate is
    try:
        context.load_cert_chain(own.cert, own.key)
        context.load_verify_locations(own.ca)
        context.load_verify_locations(shown.cert)
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(f"the certificate files {own.cert}, {shown.cert} do not serve: {error}") from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate from elsewhere is trusted by itself
    return context


def check_replica(certificate: bytes, shown: TlsPaths) -> None:
    """`CertificateError` unless a verified certificate (DER) is that of a replica: a cloud's of our CA, or what all of them show."""
    if certificate == _der(shown.cert):
        return
    if why := why_not_the_clouds(parse_certificate(certificate)):
        raise CertificateError(f"the certificate of the other replica is refused: {why}")


def client_identity(certificate: dict[str, object] | None) -> ClientIdentity | None:
    """Whose a client's certificate is, as `ssl` tells it; None for none."""
    if not certificate:
        return None
    parts = [pair for relative in _name(certificate, "subject") for pair in relative]
    common = next((value for key, value in parts if key == "commonName"), "")
    organizations = tuple(value for key, value in parts if key == "organizationName")
    return ClientIdentity(common, organizations, _name(certificate, "issuer"))


def subject_of_ca(path: str) -> Name:
    """The name of the CA in a PEM file, as an issuer is told. `CertificateError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
        return _name(dict(context.get_ca_certs()[0]), "subject")
    except (ssl.SSLError, OSError, IndexError) as error:
        raise CertificateError(f"there is no CA in {path}: {error}") from error


def _name(certificate: dict[str, object], field: str) -> Name:
    name: Name = certificate.get(field, ())  # type: ignore[assignment]
    return name


def _der(path: str) -> bytes:
    with open(path, encoding="ascii") as file:
        text = file.read()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index(begin) : text.index(end) + len(end)])
