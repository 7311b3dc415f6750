"""HTTP/1.1 to one API server over kept connections: requests that answer, and streams that go on until closed."""

from __future__ import annotations

import contextlib
import http.client
import logging
import select
import socket
import ssl
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from kubeedge_actors.drivers.cluster.auth_headers import FORBIDDEN, UNAUTHORIZED, AuthHeaders
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.errors import Unreachable, UsageError

log = logging.getLogger(__name__)

NO_HEADERS: Mapping[str, str] = {}
IDLE_CONNECTIONS = 8
TOO_MANY, UNAVAILABLE = 429, 503
REFUSED = (UNAUTHORIZED, FORBIDDEN)
TRIES = 4
"""Times that a request is made when the API says that it is too busy and when to come back."""
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A stream whose peer has vanished is noticed within 25 s."""
CHUNK = 65536
MAX_ANSWER = 256 << 20
"""Bytes of one answer: a list of 100,000 pods fits."""
MAX_EVENT = 32 << 20
"""Bytes of one line of a watch; an object has 3 MB at most."""


class Transport:
    """Connections to one API server; all methods may be called from any thread.

    `timeout` in seconds is for each step of a request (connect, send, next bytes). Whatever goes wrong below HTTP is
    Unreachable.
    """

    def __init__(self, config: ClientConfig, timeout: float = 10.0) -> None:
        parts = urllib.parse.urlsplit(config.url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._config = config
        self._timeout = timeout
        self._context = _context(config) if self._secure else None
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._live: set[socket.socket] = set()  # those that a thread waits for
        self._closing = threading.Event()
        self._credentials = AuthHeaders(config)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        content_type: str = "",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> tuple[int, bytes]:
        """Status and body of the answer to one request; `headers`: sent beside those that say who asks.

        One that the API is too busy for is made again when it says, if that is soon; one whose token it does not
        accept, with a new one, if there is one.
        """
        renewed = False
        for remaining in reversed(range(TRIES)):
            proof = self._auth_headers()
            status, content, pause = self._once(method, target, body, content_type, {**proof, **headers})
            if self._refused(status, proof) and not renewed:
                renewed = True
            elif not remaining or status not in (TOO_MANY, UNAVAILABLE) or pause is None or pause > self._timeout:
                break
            else:
                self._closing.wait(pause)
        return status, content

    def _once(
        self, method: str, target: str, body: bytes | None, content_type: str, proof: dict[str, str]
    ) -> tuple[int, bytes, float | None]:
        """Status, body, and after how many seconds the API wants to be asked again if it said so."""
        connection = self._take()
        try:
            with self._awaited(connection.sock):
                answer = self._send(connection, method, target, body, content_type, proof)
                content = _content(answer)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreachable(self._error_text(error)) from error
        except BaseException:
            connection.close()
            raise
        self._release(connection, answer.will_close)
        pause = answer.getheader("Retry-After", "")
        return answer.status, content, float(pause) if pause.isdecimal() else None

    def stream(self, target: str) -> ResponseStream:
        """Begin a GET whose answer does not end; the caller closes it. The status has arrived when this returns. Error: Unreachable."""
        proof = self._auth_headers()
        connection = self._connect()
        sock = connection.sock  # an answer that closes the connection takes the socket away from it
        try:
            with self._awaited(sock):
                answer = self._send(connection, "GET", target, None, "", proof)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreachable(self._error_text(error)) from error
        self._refused(answer.status, proof)  # the next attempt brings a new token, if there is one
        return ResponseStream(sock, connection, answer)

    def close(self) -> None:
        """Close what is idle, and end what is under way: that is Unreachable. Streams are closed by their owners."""
        self._closing.set()
        with self._lock:
            idle, self._idle = self._idle, []
            for sock in self._live:
                _end_reading(sock)
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _awaited(self, sock: socket.socket) -> Iterator[None]:
        """What waits for this socket in the block is ended by `close`."""
        with self._lock:
            self._live.add(sock)
        try:
            yield
        finally:
            with self._lock:
                self._live.discard(sock)

    def _take(self) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect()
            if not _dropped(connection):
                return connection
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._host, self._port)
        try:
            connection.sock = self._open()
        except OSError as error:
            raise Unreachable(self._error_text(error)) from error
        return connection

    def _open(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), self._timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE.items():
                if hasattr(socket, option):
                    plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
            if self._context is None:
                return plain
            return self._secured(plain, self._context)
        except BaseException:
            plain.close()
            raise

    def _secured(self, plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        name = self._config.server_name or self._host
        secure = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
        try:
            with self._awaited(secure):
                secure.do_handshake()
        except BaseException:
            secure.close()
            raise
        return secure

    def _auth_headers(self) -> dict[str, str]:
        try:
            return self._credentials.headers()
        except (OSError, ValueError) as error:
            raise Unreachable(f"the token for {self._config.url} can not be read: {error}") from error

    def _refused(self, status: int, proof: dict[str, str]) -> bool:
        """Whether the API refused what was sent and there is another token to send."""
        if status not in REFUSED:
            self._credentials.on_accepted()
            return False
        try:
            return self._credentials.on_refused(proof, status)
        except (OSError, ValueError) as error:
            raise Unreachable(f"the token for {self._config.url} can not be read: {error}") from error

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: bytes | None,
        content_type: str,
        proof: dict[str, str],
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "kubeedge-actors", **proof}
        if body is not None:
            headers["Content-Type"] = content_type
        connection.request(method, self._prefix + target, body=body, headers=headers)
        return connection.getresponse()

    def _release(self, connection: http.client.HTTPConnection, will_close: bool) -> None:
        with self._lock:
            keep = not will_close and not self._closing.is_set() and len(self._idle) < IDLE_CONNECTIONS
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def _error_text(self, error: BaseException) -> str:
        return f"{self._config.url} does not answer: {error or type(error).__name__}"


class ResponseStream:
    """The lines of an answer that goes on; a context manager.

    `close` may be called from any thread and ends the iteration.
    """

    def __init__(
        self, sock: socket.socket, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        self._socket = sock
        self._connection = connection
        self._answer = answer
        self.status = answer.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        self._answer.close()
        self._connection.close()

    def read(self) -> bytes:
        """The whole answer, of a status that is no stream. Error: Unreachable."""
        try:
            return _content(self._answer)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from error

    def lines(self, silence: float) -> Iterator[bytes]:
        """The lines as they arrive, until the server ends the answer; Unreachable when it breaks or is silent for
        `silence` s.
        """
        pending = b""
        try:
            self._socket.settimeout(silence)
            while chunk := self._answer.read1(CHUNK):
                *complete, pending = (pending + chunk).split(b"\n")
                yield from filter(None, complete)
                if len(pending) > MAX_EVENT:
                    raise Unreachable(f"an event of more than {MAX_EVENT} bytes is not taken")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"the watch broke: {error or type(error).__name__}") from error
        if pending.strip():
            raise Unreachable("the watch broke in the middle of an event")

    def close(self) -> None:
        """End the iteration of `lines`, which may be blocked in another thread."""
        _end_reading(self._socket)


def _end_reading(sock: socket.socket) -> None:
    """Whoever waits for this socket in another thread hears its end."""
    try:
        # the base class's method: SSLSocket's own forgets its TLS state while another thread reads. For reading only:
        # else OpenSSL 3.5, which then fails to send an alert, leaves an error behind that breaks whatever the
        # reading thread does next over TLS (seen with Python 3.13 on Debian 13: a watch that listed for ever)
        socket.socket.shutdown(sock, socket.SHUT_RD)
    except OSError as error:
        log.debug("the connection was closed already: %s", error)


def _content(answer: http.client.HTTPResponse) -> bytes:
    """The whole body. HTTPException: it is longer than any."""
    content = answer.read(MAX_ANSWER + 1)
    if len(content) > MAX_ANSWER:
        raise http.client.HTTPException(f"an answer of more than {MAX_ANSWER} bytes is not taken")
    if answer.length:  # what `read` without a size would have noticed
        raise http.client.IncompleteRead(content, answer.length)
    return content


def _dropped(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed an idle connection (or said something unasked): it is readable then."""
    sock: socket.socket | None = connection.sock
    if sock is None:
        return True
    try:
        readable = select.poll()
        readable.register(sock, select.POLLIN)
        return bool(readable.poll(0))
    except (OSError, ValueError):
        return True


def _context(config: ClientConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if not config.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif config.ca:
            context.load_verify_locations(cadata=config.ca.decode("ascii"))
        else:
            context.load_default_certs()
        if config.certificate:
            _load_identity(context, config)
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"the certificates for {config.url} cannot be used: {error}") from None
    return context


def _load_identity(context: ssl.SSLContext, config: ClientConfig) -> None:
    # the ssl module reads a certificate and its key from files only; the file is private and gone before this returns
    with tempfile.NamedTemporaryFile() as file:
        file.write(config.certificate.rstrip() + b"\n" + config.key)
        file.flush()
        context.load_cert_chain(file.name)
