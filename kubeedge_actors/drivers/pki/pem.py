"""PEM files: written whole or not at all, private ones for the owner only, each failure one plain sentence."""

from __future__ import annotations

import ssl
from pathlib import Path

from kubeedge_actors.drivers.pki.base import KeyPair
from kubeedge_actors.errors import CertificateError, DriverError
from kubeedge_actors.kubernetes.certificates.der import CERTIFICATE, EC_KEY, from_pem, parse_certificate, to_pem
from kubeedge_actors.kubernetes.certificates.info import CertificateInfo
from kubeedge_actors.osutil.files import write_atomically


def read_pem(path: Path, label: str) -> bytes:
    """DER bytes of a PEM file; `CertificateError` when it can not be read or is damaged."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise CertificateError(f"{path} can not be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CertificateError(f"{path} is damaged: it is not a PEM file") from error
    der = from_pem(text, label)
    if der is None:
        raise CertificateError(f"{path} is damaged: it holds no whole PEM block '{label}'")
    return der


def write_pem(path: Path, der: bytes, label: str) -> None:
    """Write one PEM file; a private key is readable by its owner only."""
    write_file(path, to_pem(der, label).encode(), 0o600 if label == EC_KEY else 0o644)


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a certificate, key or token atomically and durably; `CertificateError` when the disk says no."""
    try:
        write_atomically(path, data, mode)
    except DriverError as error:
        raise CertificateError(str(error)) from error.__cause__


# --- key pairs in files -----------------------------------------------------------------------------------------------


def save_pair(cert: Path, key: Path, pair: KeyPair) -> None:
    """Write both files, the key first: a certificate without its key would be useless."""
    write_pem(key, pair.key, EC_KEY)
    write_pem(cert, pair.cert, CERTIFICATE)


def check_pair(cert: Path, key: Path) -> None:
    """Nothing when the key belongs to the certificate, otherwise `CertificateError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        raise CertificateError(f"{cert} and {key} do not belong together, or one is damaged") from error
    except OSError as error:
        raise CertificateError(f"{cert} or {key} can not be read: {error.strerror}") from error


def read_certificate(path: Path) -> CertificateInfo:
    """The facts of a PEM file's certificate; `CertificateError` when it can not be read or is damaged."""
    der = read_pem(path, CERTIFICATE)
    try:
        return parse_certificate(der)
    except CertificateError as error:
        raise CertificateError(f"{path} is damaged: {error}") from error
