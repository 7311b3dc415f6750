"""TLS contexts of the cloud's two servers, with the original's limits.

Source: KubeEdge cloud/pkg/cloudhub/servers/server.go.
"""

from __future__ import annotations

import ssl

from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import CertificateError

CHANNEL_SUITES = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"


def channel_context(tls: TlsPaths) -> ssl.SSLContext:
    """For the message channel: TLS 1.2 or newer, a client certificate of our CA is required."""
    context = server_context(tls)
    context.set_ciphers(CHANNEL_SUITES)  # of TLS 1.2; those of 1.3 are all good
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def bootstrap_context(tls: TlsPaths) -> ssl.SSLContext:
    """For the certificate bootstrap: a client certificate may be shown, one of another CA ends the handshake."""
    context = server_context(tls)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def reload_certificate(context: ssl.SSLContext, tls: TlsPaths) -> None:
    """Have a server in use show another certificate to whoever connects from now on; connections stay as they are.

    `CertificateError` when a file does not serve: then nothing has changed. Call it in the server's thread.
    """
    server_context(tls)
    context.load_cert_chain(tls.cert, tls.key)


def server_context(tls: TlsPaths) -> ssl.SSLContext:
    """For any server of ours; `CertificateError` when a file does not serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = (
        0  # a resumed session would skip nothing that we want skipped, and tickets hold the client's certificate
    )
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.cert, tls.key)
        context.load_verify_locations(tls.ca)
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(
            f"the certificate files {tls.cert}, {tls.key}, {tls.ca} do not serve: {error}"
        ) from error
    return context
