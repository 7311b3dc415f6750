"""TLS connections of the client end: the server is verified against the CA, and nothing but our own certificate is shown.

OpenSSL completes the chain that a client shows from the same store that it verifies the server with, so a client that trusts the CA
also sends it; a strict server refuses chains (source: KubeEdge cloud/pkg/cloudhub/authorization, "intermediate certificates are not
supported"). Python offers no switch for it. So a server's certificate is verified once against the CA on a connection that is closed
again at once; from then on the verified certificates themselves are what the store holds.

A certificate of the CA with the right name is not enough: every node has one of that CA. It has to say that it is the cloud's.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

from kubeedge_actors.drivers.link import hostname_mismatch
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import CertificateError
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import why_not_the_clouds

REMEMBERED = 8  # several servers, each with its own certificate, may stand behind one address
TRIES = 3
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000),  # ms
)
"""A link whose other end is gone without a word is noticed after 15 s when something was sent, else after 20 s."""

_TCP_INFO = struct.Struct("=24xI28xI")
"""Segments without acknowledgement, and the milliseconds since the last one came (source: linux/tcp.h, struct tcp_info)."""
_Server = tuple[str, int, bytes]


class DialAttempt:
    """One attempt to come to a link, which another thread may abort: whoever waits for the other side meanwhile hears its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self.aborted = False

    def on_connected(self, connection: socket.socket) -> None:
        """It waits for what this connection brings."""
        with self._lock:
            self._forget()
            if self.aborted:
                connection.shutdown(socket.SHUT_RDWR)
            else:
                self._connection = connection.dup()  # whoever waits may wrap or close its own

    def abort(self) -> None:
        """End it, unless it is over."""
        with self._lock:
            self.aborted = True
            if self._connection is not None:
                with contextlib.suppress(OSError):  # the other side has ended it
                    self._connection.shutdown(socket.SHUT_RDWR)

    def on_over(self) -> None:
        """It has led to a link, or to nothing."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def dial(host: str, port: int, timeout: float, attempt: DialAttempt | None = None) -> socket.socket:
    """A TCP connection that notices soon when its other end is gone; OSError."""
    address: Any = (encode_host(host), port)  # bytes are taken too, whatever the type stubs say
    connection = socket.create_connection(address, timeout)
    for option in KEEPALIVE:
        connection.setsockopt(*option)
    if attempt is not None:
        attempt.on_connected(connection)
    return connection


def acknowledges(connection: socket.socket, within: float) -> bool:
    """Whether the machine at the other end is there, though its program may read nothing: nothing that was sent waits for its
    acknowledgement, or one came in the last `within` seconds. What the other side has no room for is not sent, and so waits for none.
    """
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    unacknowledged, milliseconds = _TCP_INFO.unpack(info)
    return not unacknowledged or milliseconds / 1000.0 < within


def encode_host(host: str) -> str | bytes:
    """A plain host name as bytes: Python then leaves out the codec of international names, which would cost 0.4 MB."""
    return host.encode() if host.isascii() else host


class PinnedTls:
    """Which server certificates have been verified; one object serves all links of a process, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verified: dict[_Server, tuple[bytes, ...]] = {}

    def connect(
        self, host: str, port: int, tls: TlsPaths, timeout: float, attempt: DialAttempt | None = None
    ) -> ssl.SSLSocket:
        """A verified connection; OSError (of which ssl.SSLError is one), or `CertificateError` when a file does not serve."""
        server = (host, port, _read(tls.ca))
        for _ in range(TRIES):
            pinned = self._verified.get(server, ())
            if pinned:
                with contextlib.suppress(ssl.SSLCertVerificationError):  # not one that we know: look at it below
                    return _handshake(host, port, _pinning(tls, pinned), timeout, attempt)
            self._verify(server, tls, timeout, attempt)
        return _handshake(host, port, _pinning(tls, self._verified[server]), timeout, attempt)

    def _verify(self, server: _Server, tls: TlsPaths, timeout: float, attempt: DialAttempt | None) -> None:
        host, port, _ = server
        try:
            with _handshake(host, port, _trusting(tls), timeout, attempt) as connection:
                certificate = connection.getpeercert(binary_form=True) or b""
        except ssl.SSLCertVerificationError as error:
            if not hostname_mismatch.is_hostname_mismatch(error):
                raise
            names = hostname_mismatch.certificate_names(lambda: dial(host, port, timeout), _trusting(tls))
            raise CertificateError(hostname_mismatch.hostname_error_text(f"{host}:{port}", host, names)) from error
        if why := why_not_the_clouds(parse_certificate(certificate)):
            raise CertificateError(f"the certificate of {host}:{port} is refused: {why}")
        with self._lock:
            previous = [pinned for pinned in self._verified.get(server, ()) if pinned != certificate]
            self._verified[server] = (certificate, *previous[: REMEMBERED - 1])


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CertificateError(f"the certificate {path} can not be read: {error.strerror}") from error


def _handshake(
    host: str, port: int, context: ssl.SSLContext, timeout: float, attempt: DialAttempt | None
) -> ssl.SSLSocket:
    connection = dial(host, port, timeout, attempt)
    try:
        return context.wrap_socket(connection, server_hostname=encode_host(host))
    except BaseException:
        connection.close()
        raise


def _trusting(tls: TlsPaths) -> ssl.SSLContext:
    context = _context(tls)
    try:
        context.load_verify_locations(tls.ca)
    except OSError as error:
        raise CertificateError(f"the CA certificate {tls.ca} does not serve: {error}") from error
    return context


def _pinning(tls: TlsPaths, certificates: tuple[bytes, ...]) -> ssl.SSLContext:
    context = _context(tls)
    context.load_verify_locations(cadata=b"".join(certificates))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an end certificate may be what is trusted
    return context


def _context(tls: TlsPaths) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:
        raise CertificateError(f"the certificate {tls.cert} with the key {tls.key} does not serve: {error}") from error
    return context
