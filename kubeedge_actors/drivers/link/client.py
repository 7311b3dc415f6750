"""The client end of a link, through websocket-client.

One thread owns the socket: two threads on one TLS socket corrupt it. The socket never blocks; the thread waits for it and for a wake-up
by those who send. websocket-client does the upgrade and takes frames apart. What is written goes through one buffer here, because a
pong must not get into the middle of a half-written frame.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import websocket
from websocket._abnf import frame_buffer

from kubeedge_actors.drivers.link.base import CloseReason, LinkEvents
from kubeedge_actors.drivers.link.client_tls import DialAttempt, PinnedTls, acknowledges, dial
from kubeedge_actors.drivers.link.incoming_limits import (
    MAX_ANSWER,
    MAX_MESSAGE,
    MessageTooLong,
    UpgradeAnswer,
    check_length,
)
from kubeedge_actors.drivers.link.keepalive import Keepalive, KeepaliveAction
from kubeedge_actors.drivers.link.send_queue import SendQueue
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import LinkError

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
WRITE_TIMEOUT = 30.0
PING_INTERVAL, PONG_TIMEOUT = 10.0, 8.0
"""A connection on which nothing came for so long is asked by a ping, and given up when nothing comes after it: what
keeps a TCP connection alive may be something in between.
"""
ACKNOWLEDGED = 15.0
"""Seconds after which a machine that acknowledges nothing of what was sent is gone."""
CLOSE_TIMEOUT = 1.0
READS_PER_TURN = 64
WRITES_PER_TURN = 4
WRITE_SIZE = 64 * 1024
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
ABNF = websocket.ABNF
CLOSED_HERE = CloseReason("closed by this side")
TOO_LONG = 1009
"""Close code (source: RFC 6455, 7.4.1)."""
OTHER_CA = frozenset({7, 18, 19, 20, 21})
"""OpenSSL's codes for a certificate that another CA has signed: wrong signature, self-signed, unknown issuer."""


class WebSocketLinks:
    """Makes links; what one link learns of a server's certificate the next one knows. Call it for a new link.

    `encoding`: of texts on the wire. With "latin-1" a text stands for bytes, one character each, whatever they are.
    `patience`: seconds for which a server may read nothing while its machine acknowledges; 0: none beyond the usual.
    """

    def __init__(self, encoding: str = "utf-8", patience: float = 0.0) -> None:
        self._tls_client = PinnedTls()
        self._encoding, self._patience = encoding, patience

    def __call__(self) -> WebSocketLink:
        return WebSocketLink(self._tls_client, self._encoding, self._patience)


class WebSocketLink:
    """A Link over one WebSocket."""

    def __init__(self, tls_client: PinnedTls | None = None, encoding: str = "utf-8", patience: float = 0.0) -> None:
        self._tls_client = tls_client or PinnedTls()
        self._encoding, self._patience = encoding, patience
        self._queue, self._attempt = SendQueue(), DialAttempt()

    def open(self, url: str, headers: Mapping[str, str], tls: TlsPaths | None, events: LinkEvents) -> None:
        """See the protocol."""
        run = _Run(self._queue, events, self._encoding, self._patience)
        connect = _Connect(url, dict(headers), tls, self._tls_client, self._attempt)
        threading.Thread(target=run, args=(connect,), name="link", daemon=True).start()

    def send(self, text: str, message_id: str = "") -> None:
        """See the protocol."""
        self._queue.put(text, message_id)

    def close(self) -> None:
        """See the protocol."""
        self._queue.terminate()
        self._attempt.abort()


class LimitedFrames(frame_buffer):
    """Takes frames apart; MessageTooLong as soon as a header names more bytes than a message may have."""

    def recv_length(self) -> None:
        """The library's, looked at before anything is read for it."""
        super().recv_length()
        check_length(self.length or 0)


class _Connect:
    """How to come to an open WebSocket."""

    def __init__(
        self, url: str, headers: dict[str, str], tls: TlsPaths | None, tls_client: PinnedTls, attempt: DialAttempt
    ) -> None:
        self._url = url
        self._headers = headers
        self._tls = tls
        self._tls_client, self._attempt = tls_client, attempt

    def __call__(self) -> websocket.WebSocket:
        try:
            return self._opened()
        finally:
            self._attempt.on_over()

    def _opened(self) -> websocket.WebSocket:
        opened = websocket.WebSocket(skip_utf8_validation=True, enable_multithread=False)
        opened.frame_buffer = LimitedFrames(opened._recv, skip_utf8_validation=True)
        connection = self._dial()
        try:
            answering: Any = UpgradeAnswer(connection, MAX_ANSWER, CONNECT_TIMEOUT)
            opened.connect(self._url, socket=answering, header=self._headers, suppress_origin=True, redirect_limit=0)  # type: ignore[no-untyped-call]
            opened.sock = connection
            connection.setblocking(False)
        except BaseException:
            connection.close()
            raise
        return opened

    def _dial(self) -> socket.socket:
        address = urlsplit(self._url)
        host = address.hostname or ""
        if self._tls is None:
            return dial(host, address.port or 80, CONNECT_TIMEOUT, self._attempt)
        return self._tls_client.connect(host, address.port or 443, self._tls, CONNECT_TIMEOUT, self._attempt)


class _Run:
    """The life of one link, on its own thread."""

    def __init__(self, queue: SendQueue, events: LinkEvents, encoding: str, patience: float) -> None:
        self._queue = queue
        self._events = events
        self._encoding = encoding
        self._patience = patience
        self._websocket: Any = None
        self._buffer = memoryview(b"")
        self._marks: list[str] = []
        self._controls: list[bytes] = []
        self._keepalive = Keepalive(PING_INTERVAL, PONG_TIMEOUT, time.monotonic())
        self._parts: list[bytes] | None = None
        self._size = 0
        self._progress = 0.0
        self._closing_since = 0.0
        self._more = False

    def __call__(self, connect: _Connect) -> None:
        try:
            closed = self._live(connect)
        except (OSError, LinkError, websocket.WebSocketException) as error:
            closed = CLOSED_HERE if self._queue.ending else _reason(error)
        except Exception:
            log.exception("a handler of the link failed")
            closed = CloseReason("a handler of the link failed, see the log")
        self._queue.close()
        self._events.on_close(closed)

    def _live(self, connect: _Connect) -> CloseReason:
        self._websocket = connect()
        with contextlib.closing(self._websocket.sock) as connection:
            if self._queue.ending:
                return CLOSED_HERE
            if self._patience:  # the kernel would not wait for who has no room; acknowledgements are looked at here
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
            self._events.on_open(self._websocket.getheaders())
            return self._serve(connection)

    def _serve(self, connection: socket.socket) -> CloseReason:
        poll = select.poll()
        poll.register(self._queue.wake, select.POLLIN)
        self._keepalive.on_received(time.monotonic())
        while True:
            self._write(connection)
            if (closed := self._close_reason(connection)) is not None:
                return closed
            poll.register(connection, select.POLLIN | (select.POLLOUT if self._buffer else 0))
            poll.poll(self._wait_time())
            self._queue.clear_wakeup()
            if (closed := self._read(connection) or self._ping(connection)) is not None:
                return closed

    def _ping(self, connection: socket.socket) -> CloseReason | None:
        """Ask who is silent; the end when nothing came of it."""
        now = time.monotonic()
        verdict = KeepaliveAction.WAIT if self._more else self._keepalive.next_action(now)
        if verdict is KeepaliveAction.PING:
            self._controls.append(_frame(b"", ABNF.OPCODE_PING))
        if verdict is not KeepaliveAction.CLOSE:
            return None
        if self._is_there(connection, self._keepalive.silent_for(now)):
            self._keepalive.ask_again(now)
            return None
        return CloseReason("the other side is silent")

    def _is_there(self, connection: socket.socket, waited: float) -> bool:
        """Whether to wait on for who has done nothing for `waited` seconds."""
        return waited < self._patience and acknowledges(connection, ACKNOWLEDGED)

    def _wait_time(self) -> int:
        """How long to wait for the socket or a wake-up, in ms."""
        if self._more or ((self._queue or self._controls) and not self._buffer):
            return 0
        longest = CLOSE_TIMEOUT if self._closing_since else WRITE_TIMEOUT
        return int(min(longest, self._keepalive.next_due_in(time.monotonic())) * 1000) + 1

    def _close_reason(self, connection: socket.socket) -> CloseReason | None:
        now = time.monotonic()
        if self._queue.ending:
            self._closing_since = self._closing_since or now + CLOSE_TIMEOUT
            if now >= self._closing_since or not (self._buffer or self._queue):
                return CLOSED_HERE
        stuck = now - self._progress if self._buffer else 0.0
        if stuck >= WRITE_TIMEOUT and not self._is_there(connection, stuck):
            return CloseReason(f"the other side took nothing for {stuck:.0f} s")
        return None

    def _write(self, connection: socket.socket) -> None:
        for _ in range(WRITES_PER_TURN):
            if not self._buffer and not self._fill():
                return
            try:
                while self._buffer:
                    self._buffer = self._buffer[connection.send(self._buffer) :]
                    self._progress = time.monotonic()
            except WOULD_BLOCK:
                return
            if self._marks:
                self._events.on_written(self._marks)

    def _fill(self) -> bool:
        texts, self._marks = self._queue.take_batch(WRITE_SIZE)
        frames = [*self._controls, *(_frame(text.encode(self._encoding), ABNF.OPCODE_TEXT) for text in texts)]
        self._controls.clear()
        self._buffer = memoryview(b"".join(frames))
        self._progress = time.monotonic()
        return bool(frames)

    def _read(self, connection: socket.socket) -> CloseReason | None:
        self._more = True
        for _ in range(READS_PER_TURN):
            try:
                frame = self._websocket.recv_frame()
            except WOULD_BLOCK:
                self._more = False
                return None
            except MessageTooLong as error:
                return self._refuse(connection, str(error))
            if frame.opcode == ABNF.OPCODE_CLOSE:
                return self._answer_close(connection, frame.data)
            if len(frame.data) + self._size > MAX_MESSAGE:
                return self._refuse(connection, f"more than {MAX_MESSAGE} bytes in fragments")
            self._take(frame)
            self._keepalive.on_received(time.monotonic())
        return None

    def _take(self, frame: websocket.ABNF) -> None:
        if frame.opcode == ABNF.OPCODE_PING:
            self._controls.append(_frame(frame.data, ABNF.OPCODE_PONG))
        elif frame.opcode != ABNF.OPCODE_PONG:
            self._assemble(frame)

    def _assemble(self, frame: websocket.ABNF) -> None:
        if (frame.opcode == ABNF.OPCODE_CONT) == (self._parts is None):
            raise websocket.WebSocketProtocolException("the fragments of a message are out of order")
        parts = [] if self._parts is None else self._parts
        parts.append(_bytes(frame.data))
        self._parts = None if frame.fin else parts
        self._size = 0 if frame.fin else self._size + len(parts[-1])
        if frame.fin:
            # invalid UTF-8 is replaced as Go's JSON decoder does; checking it here would cost more than everything else
            self._events.on_text(b"".join(parts).decode(self._encoding, "replace"))

    def _refuse(self, connection: socket.socket, reason: str) -> CloseReason:
        """The end, and the other side is told why if it still listens."""
        if not self._buffer:
            with contextlib.suppress(OSError):
                connection.send(_frame(struct.pack("!H", TOO_LONG) + reason.encode(), ABNF.OPCODE_CLOSE))
        log.warning("the link is closed: the other side sends too long a message: %s", reason)
        return CloseReason(f"the other side sends too long a message: {reason}")

    def _answer_close(self, connection: socket.socket, data: bytes) -> CloseReason:
        code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
        if not self._buffer:
            with contextlib.suppress(OSError):  # the other side may be gone already; nothing follows
                connection.send(_frame(data[:2], ABNF.OPCODE_CLOSE))
        text = data[2:].decode("utf-8", "replace")
        return CloseReason(
            f"closed by the other side: {text} (code {code})" if text else f"closed by the other side with code {code}"
        )


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _frame(data: str | bytes, opcode: int) -> bytes:
    return ABNF.create_frame(data, opcode).format()


def _reason(error: Exception) -> CloseReason:
    if isinstance(error, websocket.WebSocketBadStatusException):
        return _refusal(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return CloseReason(_distrust(error))
    if isinstance(error, ssl.SSLError):
        return CloseReason(f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}")
    if isinstance(error, TimeoutError | websocket.WebSocketTimeoutException):
        return CloseReason("no answer in time")
    if isinstance(error, websocket.WebSocketConnectionClosedException):
        return CloseReason("the other side closed the connection")
    return CloseReason(str(getattr(error, "strerror", None) or error))


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    reason = f"the certificate of the server was refused: {error.verify_message}"
    if error.verify_code not in OTHER_CA:
        return reason
    return f"{reason}. It is not of the CA that this node has joined: the cloud was set up anew, or it is another one, and a new token is needed"


def _refusal(error: websocket.WebSocketBadStatusException) -> CloseReason:
    body = (error.resp_body or b"").decode("utf-8", "replace").strip()[:200]
    try:
        wait = float((error.resp_headers or {}).get("retry-after", ""))
    except ValueError:  # none, or a date, which no hub of ours sends
        wait = None
    return CloseReason(f"refused with HTTP status {error.status_code}{': ' if body else ''}{body}", wait)
