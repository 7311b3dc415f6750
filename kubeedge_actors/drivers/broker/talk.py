"""Packets over a socket that one thread owns, and a bell by which other threads wake it."""

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


class Bell:
    """Wakes a thread that waits on sockets; any thread may ring, until `close`."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        return self._ours.fileno()

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._theirs.send(b"!")

    def hush(self) -> None:
        """To be called before looking for what it rang for."""
        self._ours.recv(64)
        self._rung = False

    def close(self) -> None:
        """Give its sockets back."""
        self._ours.close()
        self._theirs.close()


class Talk:
    """Packets over one connected socket, without ever waiting for the other side to read."""

    def __init__(self, peer: socket.socket, bell: Bell) -> None:
        self.arrived: deque[Packet] = deque()
        self._peer, self._bell = peer, bell
        self._decoder = Decoder()
        self._unsent = b""
        self._said: list[bytes] = []
        self._heard = self._spoke = time.monotonic()
        peer.setblocking(False)
        self._poll = select.poll()
        self._poll.register(bell.fileno(), select.POLLIN)

    def say(self, data: bytes) -> None:
        """Let it leave at the next turn."""
        if data:
            self._said.append(data)

    def turn(self) -> None:
        """Send what can be sent, wait for something to happen, read. Errors: OSError, ProtocolError."""
        self._send()
        now = time.monotonic()
        if now - self._spoke > KEEPALIVE / 2 and not self._unsent:
            self.say(packets.PING)
            self._send()
        if now - self._heard > KEEPALIVE * 1.5:
            raise ProtocolError("it is silent")
        # while an arrival waits for the tap nothing more is read: the broker keeps it
        wanted = (select.POLLOUT if self._unsent else 0) | (0 if self.arrived else select.POLLIN)
        self._poll.register(self._peer.fileno(), wanted)
        pending = 0 if self.arrived else getattr(self._peer, "pending", int)()
        wait = 0.0 if pending else AGAIN if self.arrived else KEEPALIVE / 6
        ready = dict(self._poll.poll(wait * 1000))
        if self._bell.fileno() in ready:
            self._bell.hush()
        if pending or ready.get(self._peer.fileno(), 0) & ~select.POLLOUT:
            self._read()

    def end(self) -> None:
        """Send what is left, if that needs no waiting."""
        try:
            self._send()
        except OSError as error:
            log.debug("the last words were not sent: %s", error)

    def _send(self) -> None:
        data = self._unsent + b"".join(self._said)
        self._said.clear()
        self._unsent = data
        if data:
            try:
                sent = self._peer.send(data)
            except OSError as error:
                if _is_final(error):
                    raise
                return
            self._unsent, self._spoke = data[sent:], time.monotonic()

    def _read(self) -> None:
        try:
            data = self._peer.recv(CHUNK)
        except OSError as error:
            if _is_final(error):
                raise
            return
        if not data:
            raise ConnectionResetError("it has closed the connection")
        self._heard = time.monotonic()
        self.arrived.extend(self._decoder.feed(data))


def _is_final(error: OSError) -> bool:
    """False when the socket only wants to be asked again.

    The two ways in which ssl says so are known by name: it may not be imported.
    """
    later = isinstance(error, BlockingIOError | InterruptedError)
    return not later and type(error).__name__ not in ("SSLWantReadError", "SSLWantWriteError")
