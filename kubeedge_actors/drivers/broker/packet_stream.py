"""Packets over a socket that one thread owns, and a waker for other threads."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.packets import Decoder, Packet, ProtocolError

log = logging.getLogger(__name__)

KEEPALIVE = 60
"""Seconds of silence after which the broker may drop us; we speak twice as often."""
AGAIN = 0.005
"""Seconds until an arrival that was not taken is offered again."""
CHUNK = 65_536


class Waker:
    """Wakes a thread that waits on sockets; any thread may ring, until `close`."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._woken = False

    def fileno(self) -> int:
        return self._ours.fileno()

    def wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._theirs.send(b"!")

    def clear(self) -> None:
        """To be called before looking for what it rang for."""
        self._ours.recv(64)
        self._woken = False

    def close(self) -> None:
        """Give its sockets back."""
        self._ours.close()
        self._theirs.close()


class PacketStream:
    """Packets over one connected socket, without ever waiting for the other side to read."""

    def __init__(self, peer: socket.socket, waker: Waker) -> None:
        self.arrived: deque[Packet] = deque()
        self._peer, self._waker = peer, waker
        self._decoder = Decoder()
        self._unsent = b""
        self._last_sent: list[bytes] = []
        self._last_read_at = self._last_sent_at = time.monotonic()
        peer.setblocking(False)
        self._poll = select.poll()
        self._poll.register(waker.fileno(), select.POLLIN)

    def send(self, data: bytes) -> None:
        """Queue bytes for the next turn."""
        if data:
            self._last_sent.append(data)

    def poll_once(self, longest: float | None = None) -> None:
        """Send what can be sent, wait for something to happen, `longest` seconds if given, read. Errors: OSError, ProtocolError."""
        self._send()
        now = time.monotonic()
        if now - self._last_sent_at > KEEPALIVE / 2 and not self._unsent:
            self.send(packets.PINGREQ_PACKET)
            self._send()
        if now - self._last_read_at > KEEPALIVE * 1.5:
            raise ProtocolError("it is silent")
        # while an arrival waits for the tap nothing more is read: the broker keeps it
        events = (select.POLLOUT if self._unsent else 0) | (0 if self.arrived else select.POLLIN)
        self._poll.register(self._peer.fileno(), events)
        pending = 0 if self.arrived else getattr(self._peer, "pending", int)()
        wait = 0.0 if pending else AGAIN if self.arrived else KEEPALIVE / 6 if longest is None else longest
        ready = dict(self._poll.poll(wait * 1000))
        if self._waker.fileno() in ready:
            self._waker.clear()
        if pending or ready.get(self._peer.fileno(), 0) & ~select.POLLOUT:
            self._read()

    def terminate(self) -> None:
        """Send what is left, without blocking."""
        try:
            self._send()
        except OSError as error:
            log.debug("the last words were not sent: %s", error)

    def _send(self) -> None:
        data = self._unsent + b"".join(self._last_sent)
        self._last_sent.clear()
        self._unsent = data
        if data:
            try:
                sent = self._peer.send(data)
            except OSError as error:
                if _is_final(error):
                    raise
                return
            self._unsent, self._last_sent_at = data[sent:], time.monotonic()

    def _read(self) -> None:
        try:
            data = self._peer.recv(CHUNK)
        except OSError as error:
            if _is_final(error):
                raise
            return
        if not data:
            raise ConnectionResetError("it has closed the connection")
        self._last_read_at = time.monotonic()
        self.arrived.extend(self._decoder.feed(data))


def _is_final(error: OSError) -> bool:
    """False when the socket only wants to be asked again.

    The two ways in which ssl says so are known by name: it may not be imported.
    """
    later = isinstance(error, BlockingIOError | InterruptedError)
    return not later and type(error).__name__ not in ("SSLWantReadError", "SSLWantWriteError")
