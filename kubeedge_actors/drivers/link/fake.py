"""Both ends of a link in one process, for tests: same promises, no socket, and faults on demand."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping

from kubeedge_actors.drivers.link.base import CloseReason, LinkEvents, Peer, ServerEvents
from kubeedge_actors.drivers.pki.base import TlsPaths


class FakeLinkServer:
    """A LinkServer; `link` makes a client end to it.

    Events come on the thread of whoever caused them, one at a time. `reachable` False: nobody can connect. `stalled` True: nothing sent
    by a client arrives or counts as written, until it is False and something happens again.
    """

    def __init__(self) -> None:
        self.reachable = True
        self.stalled = False
        self.common_name = ""
        self._events: ServerEvents | None = None
        self._ends: dict[int, FakeLink] = {}
        self._numbers = itertools.count(1)
        self._turns = _Turns()

    def link(self) -> FakeLink:
        """A client end that connects to this server, whatever the URL."""
        return FakeLink(self)

    def start(self, host: str, port: int, tls: TlsPaths | None, events: ServerEvents) -> int:
        """Let clients in; the answer is `port`."""
        self._events = events
        return port

    def peers(self) -> list[Peer]:
        """The connected peers."""
        return [end.peer for end in self._ends.values() if end.peer is not None]

    def send(self, peer: Peer, text: str) -> None:
        """Queue one text message for this peer."""
        self._turns.take(lambda: self._down(peer.id, text))

    def close(self, peer: Peer, reason: str = "", code: int = 0) -> None:
        """End this peer's connection."""
        self._turns.take(lambda: self.disconnect(peer.id, reason or "closed by the other side"))

    def cut(self, reason: str = "the connection was cut") -> None:
        """End every connection, as when the network fails."""
        for number in list(self._ends):
            self._turns.take(lambda number=number: self.disconnect(number, reason))  # type: ignore[misc]

    def stop(self) -> None:
        """End every connection and let nobody in any more."""
        self._events = None
        self.cut("the server stops")

    def release_stalled(self) -> None:
        """Deliver what `stalled` has held back."""
        self.stalled = False
        for end in list(self._ends.values()):
            self.call_soon(lambda end=end: self.deliver_upstream(end))  # type: ignore[misc]

    # --- what the client ends ask for

    def call_soon(self, turn: Callable[[], None]) -> None:
        """Run `turn` after the current one."""
        self._turns.take(turn)

    def connect_client(self, end: FakeLink, path: str, headers: Mapping[str, str]) -> None:
        """Admit or refuse a client end."""
        if end.closing:
            end.end(CloseReason("closed by this side"))
            return
        if self._events is None or not self.reachable:
            end.end(CloseReason("connection refused"))
            return
        named = {name.lower(): value for name, value in headers.items()}
        peer = Peer(next(self._numbers), path, named, self.common_name, address="memory")
        admission = self._events.admit(peer)
        if admission.status != 101:
            wait = admission.headers.get("Retry-After")
            reason = f"refused with HTTP status {admission.status}: {admission.reason}"
            end.end(CloseReason(reason, float(wait) if wait else None))
            return
        end.peer = peer
        self._ends[peer.id] = end
        self._events.on_connect(peer)
        end.on_admitted({name.lower(): value for name, value in admission.headers.items()})

    def deliver_upstream(self, end: FakeLink) -> None:
        """Deliver what a client end has sent, as far as the server takes it."""
        while end.sent and end.peer is not None and self._events is not None and not self.stalled:
            text, mark = end.sent[0]
            if not self._events.on_text(end.peer, text):
                return
            end.sent.popleft()
            end.on_text_taken(mark)

    def disconnect(self, number: int, reason: str) -> None:
        """End one connection on both sides."""
        end = self._ends.pop(number, None)
        if end is None or end.peer is None:
            return
        peer, end.peer = end.peer, None
        end.end(CloseReason(reason))
        if self._events is not None:
            self._events.on_close(peer, reason)

    def _down(self, number: int, text: str) -> None:
        end = self._ends.get(number)
        if end is not None:
            end.receive_text(text)


class FakeLink:
    """A Link to a FakeLinkServer."""

    def __init__(self, server: FakeLinkServer) -> None:
        self.peer: Peer | None = None
        self.sent: deque[tuple[str, str]] = deque()
        self._server = server
        self._events: LinkEvents | None = None
        self.closing = False

    def open(self, url: str, headers: Mapping[str, str], tls: TlsPaths | None, events: LinkEvents) -> None:
        """See the protocol."""
        self._events = events
        path = "/" + url.split("://", 1)[-1].partition("/")[2]
        self._server.call_soon(lambda: self._server.connect_client(self, path, headers))

    def send(self, text: str, message_id: str = "") -> None:
        """See the protocol."""
        self._server.call_soon(lambda: self._send(text, message_id))

    def close(self) -> None:
        """See the protocol."""
        self.closing = True
        self._server.call_soon(self._close)

    # --- what the server tells

    def on_admitted(self, headers: Mapping[str, str]) -> None:
        """The link is open."""
        if self._events is not None:
            self._events.on_open(headers)

    def receive_text(self, text: str) -> None:
        """A text has arrived."""
        if self._events is not None:
            self._events.on_text(text)

    def on_text_taken(self, mark: str) -> None:
        """A text was taken by the server."""
        if self._events is not None:
            self._events.on_written([mark])

    def end(self, closed: CloseReason) -> None:
        """The end; nothing follows."""
        events, self._events = self._events, None
        self.sent.clear()
        if events is not None:
            events.on_close(closed)

    def _send(self, text: str, mark: str) -> None:
        if self._events is not None:
            self.sent.append((text, mark))
            self._server.deliver_upstream(self)

    def _close(self) -> None:
        if self.peer is not None:
            self._server.disconnect(self.peer.id, "closed by this side")


class _Turns:
    """Does one thing at a time, in the order asked for, on the thread of whoever asks first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = False

    def take(self, turn: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(turn)
            if self._busy:
                return
            self._busy = True
        while (due := self._next()) is not None:
            due()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            self._busy = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None
