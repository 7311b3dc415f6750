"""One connection of the link server: bytes in, texts out, and the other way round. Only here websockets is imported.

The library's sans-I/O half is used under a protocol of ours: no task, no queue and no compressor per connection
(memory), the first of repeated headers counts, the end is a TCP close. Everything runs in the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast
from urllib.parse import urlsplit

from websockets.frames import OP_BINARY, OP_CLOSE, OP_CONT, OP_TEXT, Frame
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.osutil.connection_limits import HEAD_TOO_LARGE, ConnectionSlot, ServerLimits
from kubeedge_actors.osutil.unread_close import close_unread

log = logging.getLogger(__name__)
quiet = logging.getLogger(f"{__name__}.library")
quiet.setLevel(logging.WARNING)  # the library tells each open and close at INFO

RETRY = 0.01
FAREWELL = 2.0
"""Seconds in which a peer that was told why may close; closed by us at once, what it sends meanwhile would destroy what it is told."""
MAX_REASON = 123
"""Bytes (source: RFC 6455, 5.5)."""
DATA = (OP_TEXT, OP_BINARY, OP_CONT)
KNOWN = (101, 503)
"""Answers to those whose certificate is what they say they are: they may come, or come later."""
DROPPED_HEADERS = ("connection", "upgrade", "host", "accept-encoding")


class ConnectionEvents(Protocol):
    """The server, as its connections see it."""

    limits: ServerLimits
    max_message: int
    backlog: int
    encoding: str

    def on_connected(self, connection: ServerConnection) -> None: ...
    def admit(self, peer: Peer) -> UpgradeResponse: ...
    def on_open(self, connection: ServerConnection, peer: Peer) -> None: ...
    def on_message(self, peer: Peer, text: str) -> bool: ...
    def on_closed(self, connection: ServerConnection, reason: str) -> None: ...


class ServerConnection(asyncio.Protocol):
    """The server's end of one WebSocket."""

    def __init__(
        self, owner: ConnectionEvents, number: int, loop: asyncio.AbstractEventLoop, slot: ConnectionSlot
    ) -> None:
        self.peer: Peer | None = None
        self._owner = owner
        self._slot = slot
        self._head_size = 0
        self._number = number
        self._loop = loop
        self._websocket = ServerProtocol(max_size=owner.max_message, logger=quiet)
        self._parts: list[bytes] = []
        self._waiting: deque[str] | None = None
        self._reason = ""
        self._lost = False
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up; the request for the upgrade has to come soon."""
        self._transport = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(self._owner.limits.head_seconds, self.end, "no request came")
        self._owner.on_connected(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes; whatever they are, at worst this connection ends."""
        if self._reason:
            return
        if self.peer is None:
            self._head_size += len(data)
            if self._head_size > self._owner.limits.head_bytes:
                self._transport.write(HEAD_TOO_LARGE)
                self._reason = "its request has too long a head"
                close_unread(self._transport)
                return
        self._websocket.receive_data(data)
        self._handle()

    def eof_received(self) -> None:
        """The peer says no more: so do we."""
        self.end("closed by the peer")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; what came before that is still delivered."""
        self._lost = True
        self._slot.release()
        self._reason = self._reason or (f"connection lost: {exc}" if exc else "closed by the peer")
        self._parts.clear()
        if self._waiting is None:
            self._leave()

    # --- the server's side

    def send(self, text: str) -> None:
        """One text message; the connection ends when the peer is too far behind."""
        if self._reason or self._websocket.state is not OPEN or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > self._owner.backlog:
            self.end(f"too slow: {self._owner.backlog} bytes wait for it", at_once=True)
            return
        self._websocket.send_text(text.encode(self._owner.encoding))
        self._flush()

    def end(self, reason: str, *, at_once: bool = False, code: int = 0) -> None:
        """Close the socket, after what is queued or at once. With a `code` the peer is told first, and given a moment to read it."""
        announced = bool(code) and not self._reason and self._websocket.state is OPEN
        self._reason = self._reason or reason
        if at_once:
            self._transport.abort()
        elif announced:
            self._websocket.send_close(code, reason.encode()[:MAX_REASON].decode(errors="ignore"))
            self._flush()
            self._loop.call_later(FAREWELL, self._transport.close)
        else:
            self._transport.close()

    # --- inside

    def _handle(self) -> None:
        for event in self._websocket.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame) and not self._reason:
                self._frame(event)
        broken = self._websocket.parser_exc or self._websocket.handshake_exc
        if broken is not None and not self._reason:
            self._reason = f"not WebSocket: {broken}"
        self._flush()

    def _flush(self) -> None:
        for data in self._websocket.data_to_send():
            if data:
                self._transport.write(data)
            elif self._reason and (self.peer is None or self._websocket.parser_exc is not None):
                close_unread(self._transport)  # it was refused, or does not speak WebSocket, and may go on
            else:
                self.end("closed by the peer")

    def _open(self, request: Request) -> None:
        peer = self._peer(request)
        admission = reject_foreign_origin(request) or self._owner.admit(peer)
        if admission.status == 101:
            response = self._websocket.accept(request)
        else:
            response = self._websocket.reject(admission.status, admission.reason + "\n")
        response.headers.update(dict(admission.headers))
        self._websocket.send_response(response)
        if admission.status in KNOWN:
            self._slot.authenticated()
        if response.status_code != 101:
            self._reason = f"refused: {admission.reason or response.reason_phrase}"
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.peer = peer
        self._owner.on_open(self, peer)

    def _peer(self, request: Request) -> Peer:
        address = self._transport.get_extra_info("peername") or ("",)
        return Peer(
            id=self._number,
            path=request.path,
            headers=_first_values(request),
            address=":".join(map(str, address[:2])),
            **identity_of(self._transport.get_extra_info("peercert"))._asdict(),
        )

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is OP_CLOSE:
            self._flush()
            self.end("closed by the peer")
        if frame.opcode not in DATA:
            return  # ping and pong: the library has answered
        if not frame.fin:
            self._parts.append(bytes(frame.data))
            return
        message = b"".join((*self._parts, frame.data)) if self._parts else frame.data
        self._parts.clear()
        try:
            self._deliver(str(message, self._owner.encoding))
        except UnicodeDecodeError:
            self.end("not UTF-8")

    def _deliver(self, text: str) -> None:
        assert self.peer is not None
        if self._waiting is not None:
            self._waiting.append(text)
        elif not self._owner.on_message(self.peer, text):
            self._waiting = deque((text,))
            self._transport.pause_reading()
            self._timer = self._loop.call_later(RETRY, self._retry)

    def _retry(self) -> None:
        """Offer again what the owner had no room for; go on reading when all of it was taken."""
        assert self.peer is not None and self._waiting is not None
        while self._waiting:
            if not self._owner.on_message(self.peer, self._waiting[0]):
                self._timer = self._loop.call_later(RETRY, self._retry)
                return
            self._waiting.popleft()
        self._waiting = self._timer = None
        if self._lost:
            self._leave()
        else:
            self._transport.resume_reading()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._owner.on_closed(self, self._reason)


def reject_foreign_origin(request: Request) -> UpgradeResponse | None:
    """The refusal of a request that a web page of another host makes; None when it may go on."""
    origin = next(iter(request.headers.get_all("Origin")), "")
    host = next(iter(request.headers.get_all("Host")), "")
    if origin and urlsplit(origin).netloc.lower() != host.lower():
        return UpgradeResponse(403, reason="the Origin is another host")
    return None


def _first_values(request: Request) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for name, value in request.headers.raw_items():
        name = name.lower()
        if name not in DROPPED_HEADERS and not name.startswith("sec-websocket-"):
            values.setdefault(name, value)
    return values


class CertificateIdentity(NamedTuple):
    """Whose a client's certificate is, and which one: its serial number and its beginning (epoch seconds)."""

    common_name: str = ""
    organizations: tuple[str, ...] = ()
    serial: int = 0
    not_before: float = 0.0


def identity_of(certificate: Mapping[str, object] | None) -> CertificateIdentity:
    """That of a certificate as `ssl` tells it; of nobody for none."""
    if not certificate:
        return CertificateIdentity()
    subject = _subject_of(certificate)
    return CertificateIdentity(
        next(iter(subject.get("commonName", ())), ""),
        tuple(subject.get("organizationName", ())),
        int(str(certificate["serialNumber"]), 16),
        float(ssl.cert_time_to_seconds(str(certificate["notBefore"]))),
    )


def _subject_of(certificate: Mapping[str, object]) -> dict[str, list[str]]:
    """The parts of the subject: names to values."""
    subject: dict[str, list[str]] = {}
    for relative in cast(tuple[tuple[tuple[str, str], ...], ...], certificate.get("subject", ())):
        for key, value in relative:
            subject.setdefault(key, []).append(value)
    return subject
