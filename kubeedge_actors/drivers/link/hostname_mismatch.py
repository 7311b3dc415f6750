"""Error text for a server certificate of another name: which names it has, and what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence

WRONG_NAME = frozenset({62, 64})
"""OpenSSL's codes for a host name and for an address that the certificate has not."""


def is_hostname_mismatch(error: ssl.SSLCertVerificationError) -> bool:
    """Whether nothing but the name is wrong."""
    return error.verify_code in WRONG_NAME


def certificate_names(connect: Callable[[], socket.socket], context: ssl.SSLContext) -> list[str]:
    """The names in the certificate that a server shows, whose issuer is verified by `context`; none when it is not there any more."""
    context.check_hostname = False
    try:
        with connect() as connection, context.wrap_socket(connection) as secured:
            certificate = secured.getpeercert() or {}
    except OSError:  # of which ssl.SSLError is one; the sentence has to do without them
        return []
    names: Iterable[tuple[str, str]] = certificate.get("subjectAltName", ())  # type: ignore[assignment]
    return [value for _, value in names]


def hostname_error_text(server: str, host: str, names: Sequence[str]) -> str:
    """What is wrong, and what to do.

    >>> hostname_error_text("the cloud at https://10.0.0.5:10002", "10.0.0.5", ["localhost", "192.168.1.7"])
    'the certificate of the cloud at https://10.0.0.5:10002 does not have the name 10.0.0.5, but localhost, 192.168.1.7: use one of \
these, or start the cloud with --advertise 10.0.0.5'
    """
    alternatives, use = (f", but {', '.join(names)}", "use one of these, or ") if names else ("", "")
    return f"the certificate of {server} does not have the name {host}{alternatives}: {use}start the cloud with --advertise {host}"
