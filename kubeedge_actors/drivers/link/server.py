"""The link server on uvloop: thousands of peers in one thread. Fulfils `base.LinkServer`."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable

from kubeedge_actors.drivers.link.base import Peer, ServerEvents, UpgradeResponse
from kubeedge_actors.drivers.link.listening_port import ListeningPort
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.link.server_connection import ServerConnection
from kubeedge_actors.drivers.link.server_tls import channel_context
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.osutil.connection_limits import ConnectionSlot, ServerLimits

log = logging.getLogger(__name__)

MAX_MESSAGE = 40 << 20
MAX_BACKLOG = 8 << 20
SENDS_PER_TURN = 500
CLOSE_TIMEOUT = 1.0


class WebSocketServer:
    """Accepts peers, hands their texts to `events`, sends them texts.

    `max_message`: bytes of one incoming message; `backlog`: bytes that may wait for one peer. The loop may be
    shared with other servers: then whoever made it stops it. `encoding`: of texts on the wire; with "latin-1" a text
    stands for bytes, one character each. `limits`: of those that are not admitted yet.
    """

    def __init__(
        self,
        loop: LoopThread | None = None,
        max_message: int = MAX_MESSAGE,
        backlog: int = MAX_BACKLOG,
        encoding: str = "utf-8",
        limits: ServerLimits | None = None,
    ) -> None:
        self.limits = limits or ServerLimits()
        self.encoding = encoding
        self.max_message = max_message
        self.backlog = backlog
        self._own_loop = loop is None
        self._loop = loop or LoopThread()
        self._port = ListeningPort(self._loop)
        self._events: ServerEvents | None = None
        self._numbers = itertools.count(1)
        self._all: set[ServerConnection] = set()
        self._in: dict[int, ServerConnection] = {}
        self._outgoing: deque[tuple[int, str, bool, int]] = deque()
        self._drain_scheduled = False
        self._handshakes = 0
        self._refusal: Callable[[Peer], str] = lambda peer: ""

    @property
    def unfinished(self) -> int:
        """TCP connections whose TLS handshake never ended well, or has not yet: wrong or no certificates, scanners."""
        return self._port.accepted - self._handshakes if self._port.is_serving else 0

    def bind(self, host: str, port: int) -> int:
        """Take the port now, accept later (at `start`); the bound port. `LinkError`: it can not be had."""
        return self._port.bind(host, port)

    def start(self, host: str, port: int, tls: TlsPaths | None, events: ServerEvents) -> int:
        """Accept peers, those of `bind` if that was called; or hand those that are in to new events."""
        bound = self.bind(host, port)
        self._events = events
        if not self._port.is_serving:
            self._port.serve(self._connection, channel_context(tls) if tls else None, self.limits)
        return bound

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate to whoever connects from now on; `CertificateError`: a file does not serve."""
        self._port.reload_certificate(tls)

    def refuse_certificates(self, refusal: Callable[[Peer], str]) -> None:
        """Ask `refusal`, which must not block, for a sentence against each peer whose certificate TLS has verified; empty: none."""
        self._refusal = refusal

    def close_refused(self) -> None:
        """End the connections of peers whose certificates are refused by now; any thread."""
        for peer in self.peers():
            if why := self._refusal(peer):
                self.close(peer, why)

    def peers(self) -> list[Peer]:
        """The connected peers."""
        return [connection.peer for connection in list(self._in.values()) if connection.peer is not None]

    def send(self, peer: Peer, text: str) -> None:
        """Queue one text message for this peer; any thread."""
        self._put(peer.id, text, last=False)

    def close(self, peer: Peer, reason: str = "", code: int = 0) -> None:
        """End this peer's connection after what was sent to it; any thread."""
        self._put(peer.id, reason or "closed by us", last=True, code=code)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Have it called in the loop's next turn; from the loop's thread."""
        self._loop.loop.call_soon(function)

    def stop(self) -> None:
        """Close every connection and the port. Idempotent."""
        self._port.stop(self._end_connections)
        if self._own_loop:
            self._loop.stop()

    # --- what connections tell, in the loop's thread

    def on_connected(self, connection: ServerConnection) -> None:
        """TLS is up."""
        self._handshakes += 1
        self._all.add(connection)

    def admit(self, peer: Peer) -> UpgradeResponse:
        """Ask the owner."""
        if self._events is None:
            return UpgradeResponse(503, reason="not ready")
        if why := self._refusal(peer):
            return UpgradeResponse(403, reason=why)
        return self._events.admit(peer)

    def on_open(self, connection: ServerConnection, peer: Peer) -> None:
        """The upgrade was answered."""
        self._in[peer.id] = connection
        if self._events is not None:
            self._events.on_connect(peer)

    def on_message(self, peer: Peer, text: str) -> bool:
        """Hand a text on."""
        return self._events is None or self._events.on_text(peer, text)

    def on_closed(self, connection: ServerConnection, reason: str) -> None:
        """The socket is gone."""
        self._all.discard(connection)
        if connection.peer is None:
            log.debug("a peer did not join: %s", reason)
        elif self._in.pop(connection.peer.id, None) is not None and self._events is not None:
            self._events.on_close(connection.peer, reason)

    # --- inside

    def _put(self, number: int, text: str, *, last: bool, code: int = 0) -> None:
        self._outgoing.append((number, text, last, code))
        if not self._drain_scheduled:
            self._drain_scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._drain_scheduled = False  # before the first is taken: what is put after the last was taken wakes us again
        for _ in range(SENDS_PER_TURN):
            if not self._outgoing:
                return
            number, text, last, code = self._outgoing.popleft()
            connection = self._in.get(number)
            if connection is None:
                continue
            if last:
                connection.end(text, code=code)
            else:
                connection.send(text)
        self._drain_scheduled = True
        self._loop.loop.call_soon(self._drain)  # others want their turn, too

    def _connection(self, slot: ConnectionSlot) -> ServerConnection:
        return ServerConnection(self, next(self._numbers), self._loop.loop, slot)

    async def _end_connections(self) -> None:
        for connection in list(self._all):
            connection.end("the server stops")
        until = self._loop.loop.time() + CLOSE_TIMEOUT
        while self._all and self._loop.loop.time() < until:
            await asyncio.sleep(0.01)
        for connection in list(self._all):
            connection.end("the server stops", at_once=True)
        while self._all and self._loop.loop.time() < until + CLOSE_TIMEOUT:
            await asyncio.sleep(0)
