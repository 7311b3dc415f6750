"""The client end of a link, through websocket-client.

One thread owns the socket: two threads on one TLS socket corrupt it. The socket never blocks; the thread waits for it and for a wake-up
from those who send. websocket-client does the upgrade and takes frames apart; what is written goes through one buffer here, because a
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
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import websocket

from kubeedge_actors.drivers.link.base import Closed, LinkEvents, LinkTls
from kubeedge_actors.drivers.link.trust import Trust, dial
from kubeedge_actors.errors import LinkError

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
FAREWELL_SECONDS = 1.0
READS_PER_TURN = 64
BYTES_PER_WRITE = 64 * 1024
ABNF = websocket.ABNF


class WebSocketLinks:
    """Makes links; what one link learns of a server's certificate the next one knows. Call it for a new link."""

    def __init__(self) -> None:
        self._trust = Trust()

    def __call__(self) -> WebSocketLink:
        return WebSocketLink(self._trust)


class WebSocketLink:
    """A Link over one WebSocket."""

    def __init__(self, trust: Trust | None = None) -> None:
        self._trust = trust or Trust()
        self._queue = _Queue()

    def open(self, url: str, headers: Mapping[str, str], tls: LinkTls | None, events: LinkEvents) -> None:
        """See the protocol."""
        run = _Run(url, dict(headers), tls, events, self._trust, self._queue)
        threading.Thread(target=run, name="link", daemon=True).start()

    def send(self, text: str, mark: str = "") -> None:
        """See the protocol."""
        self._queue.put(text, mark)

    def close(self) -> None:
        """See the protocol."""
        self._queue.end()


class _Queue:
    """What other threads want of the thread that owns the socket, and the socket that wakes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: deque[tuple[str, str]] = deque()
        self._near, self.wake = socket.socketpair()
        self._woken = False
        self._gone = False
        self.ending = False

    def put(self, text: str, mark: str) -> None:
        with self._lock:
            if not self._gone:
                self._texts.append((text, mark))
                self._ring()

    def end(self) -> None:
        with self._lock:
            self.ending = True
            self._ring()

    def take(self) -> tuple[list[str], list[str]]:
        """Texts of about BYTES_PER_WRITE, and their marks."""
        texts: list[str] = []
        marks: list[str] = []
        room = BYTES_PER_WRITE
        with self._lock:
            while self._texts and room > 0:
                text, mark = self._texts.popleft()
                texts.append(text)
                marks.append(mark)
                room -= len(text)
        return texts, marks

    def heard(self) -> None:
        """Forget the wake-ups so far; what they are about is seen after this."""
        with self._lock:
            if self._woken:
                self._woken = False
                self.wake.recv(1)

    def close(self) -> None:
        with self._lock:
            self._gone = True
            self._texts.clear()
            self._near.close()
            self.wake.close()

    def _ring(self) -> None:
        if not self._woken and not self._gone:
            self._woken = True
            self._near.send(b"\0")


class _Run:
    """The life of one link, on its own thread."""

    def __init__(
        self, url: str, headers: dict[str, str], tls: LinkTls | None, events: LinkEvents, trust: Trust, queue: _Queue
    ) -> None:
        self._url = url
        self._headers = headers
        self._tls = tls
        self._events = events
        self._trust = trust
        self._queue = queue
        self._websocket: Any = websocket.WebSocket(skip_utf8_validation=True, enable_multithread=False)
        self._buffer = memoryview(b"")
        self._marks: list[str] = []
        self._control: list[bytes] = []
        self._parts: list[bytes] | None = None
        self._progress = 0.0

    def __call__(self) -> None:
        try:
            closed = self._live()
        except Exception:
            log.exception("a handler of the link %s failed", self._url)
            closed = Closed("a handler of this link failed, see the log")
        self._queue.close()
        try:
            self._events.on_close(closed)
        except Exception:
            log.exception("the end of the link %s could not be told", self._url)

    def _live(self) -> Closed:
        try:
            connection = self._connect()
        except (OSError, LinkError, websocket.WebSocketException) as error:
            return _why_not(error, self._url)
        with contextlib.closing(connection):
            if self._queue.ending:
                return Closed("closed by this side")
            self._events.on_open(self._websocket.getheaders())
            return self._serve(connection)

    def _connect(self) -> socket.socket:
        address = urlsplit(self._url)
        host = address.hostname or ""
        if self._tls is None:
            connection = dial(host, address.port or 80, CONNECT_SECONDS)
        else:
            connection = self._trust.connect(host, address.port or 443, self._tls, CONNECT_SECONDS)
        try:
            self._websocket.connect(
                self._url, socket=connection, header=self._headers, suppress_origin=True, redirect_limit=0
            )
            connection.setblocking(False)
        except BaseException:
            connection.close()
            raise
        return connection

    def _serve(self, connection: socket.socket) -> Closed:
        poll = select.poll()
        poll.register(self._queue.wake, select.POLLIN)
        deadline = 0.0
        try:
            while True:
                self._write(connection)
                if self._queue.ending:
                    deadline = deadline or time.monotonic() + FAREWELL_SECONDS
                    if not self._buffer or time.monotonic() > deadline:
                        return Closed("closed by this side")
                if self._buffer and time.monotonic() - self._progress > STALL_SECONDS:
                    return Closed(f"the other side has taken nothing for {STALL_SECONDS:.0f} s")
                poll.register(connection, select.POLLIN | (select.POLLOUT if self._buffer else 0))
                poll.poll(self._patience() * 1000)
                self._queue.heard()
                if (closed := self._read(connection)) is not None:
                    return closed
        except (OSError, websocket.WebSocketException) as error:
            return _why_not(error, self._url)
