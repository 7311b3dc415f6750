"""A certificate and its key as two PEM files, written and checked together without a cryptography library."""

from __future__ import annotations

import ssl
from pathlib import Path

from kubeedge_actors.drivers.pki.base import Facts, KeyPair
from kubeedge_actors.drivers.pki.der import facts
from kubeedge_actors.drivers.pki.files import CERTIFICATE, EC_KEY, read_pem, write_pem
from kubeedge_actors.errors import CertificateError


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


def facts_of(path: Path) -> Facts:
    """The facts of a PEM file's certificate; `CertificateError` when it can not be read or is damaged."""
    der = read_pem(path, CERTIFICATE)
    try:
        return facts(der)
    except CertificateError as error:
        raise CertificateError(f"{path} is damaged: {error}") from error
