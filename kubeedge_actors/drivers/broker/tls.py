"""TLS for both ends of MQTT. The library is imported when somebody asks: an edge whose MQTT is plain needs it only in its link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeedge_actors.errors import UsageError

if TYPE_CHECKING:
    import ssl


def client_context(
    authorities: str | None = None, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """To connect to a broker with; files in PEM, the system's authorities when none are given.

    Error: UsageError for an unusable file.
    """
    import ssl

    try:
        context = ssl.create_default_context(cafile=authorities)
        if authorities is not None:
            # an authority made by hand seldom has the key identifiers that Python 3.13 asks for by default
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:  # SSLError is one
        raise UsageError(f"the TLS files for the MQTT broker can not be used: {error.strerror or error}") from error
    return context


def server_context(certificate: str, key: str | None = None, authorities: str | None = None) -> ssl.SSLContext:
    """To serve with; with `authorities` every client has to show a certificate of theirs.

    Error: UsageError for an unusable file.
    """
    import ssl

    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authorities)
        context.load_cert_chain(certificate, key)
        if authorities is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    except OSError as error:
        raise UsageError(f"the TLS files for MQTT can not be used: {error.strerror or error}") from error
    return context
