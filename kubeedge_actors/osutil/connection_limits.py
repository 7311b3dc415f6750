"""What a server gives to those who have not shown who they are: how many connections, how many bytes, how long. Pure.

Every port of ours counts with this, whichever library serves it; `acceptor.py` does it for asyncio.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
REQUEST_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ServerLimits(NamedTuple):
    """Limits of one listening port, in bytes, seconds and connections."""

    head_bytes: int = 64 << 10
    """Of the request line and the headers together."""
    handshake_seconds: float = 10.0
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 60.0
    """Between two requests on one connection."""
    per_peer: int = 64
    """Connections of one address that have not shown who they are; many nodes behind one address take turns."""
    strangers_per_second: float = 10.0
    """Of them, those of one address that begin a second in the long run, after the first `per_peer`: who shows who it is does not count."""
    unauthenticated: int = 1_024
    """The same, of all addresses."""
    waiting: int = 4_096
    """Connections that wait until one of those is free; one address has at most half of them."""
    total: int = 10_000
    """Connections of all kinds."""


class ConnectionSlot:
    """The place of one connection; `authenticated` and `release` may be called any number of times."""

    __slots__ = ("_anonymous", "_limiter", "_released", "peer")

    def __init__(self, limiter: ConnectionLimiter, peer: str) -> None:
        self.peer = peer
        self._limiter = limiter
        self._anonymous, self._released = True, False

    def authenticated(self) -> None:
        """Whoever is there has shown who it is: its address has room for another one."""
        if self._anonymous:
            self._anonymous = False
            self._limiter.leave(self.peer, anonymous=True, closed=False)

    def release(self) -> None:
        """The connection is gone."""
        if not self._released:
            self._released = True
            anonymous, self._anonymous = self._anonymous, False
            self._limiter.leave(self.peer, anonymous=anonymous, closed=True)


class ConnectionLimiter:
    """Counts the connections of a port; any thread. `on_free` hears of the address that has room again, `on_known` of that of one who has shown
    who it is.

    >>> limiter = ConnectionLimiter(ServerLimits(per_peer=1, unauthenticated=2, total=3))
    >>> first = limiter.open("10.0.0.1")
    >>> limiter.open("10.0.0.1") is None, limiter.open("10.0.0.2") is None, limiter.open("10.0.0.3") is None
    (True, False, True)
    >>> first.authenticated()
    >>> limiter.open("10.0.0.1") is None, limiter.is_full
    (False, True)
    """

    def __init__(
        self,
        limits: ServerLimits,
        on_free: Callable[[str], object] | None = None,
        on_known: Callable[[str], object] | None = None,
    ) -> None:
        self._limits = limits
        self._on_free, self._on_known = on_free, on_known
        self._lock = threading.Lock()
        self._anonymous: dict[str, int] = {}
        self._unauthenticated = self._total = 0

    @property
    def is_full(self) -> bool:
        """Whether there are as many connections of all kinds as there may be."""
        return self._total >= self._limits.total

    def open(self, peer: str) -> ConnectionSlot | None:
        """A place for a new connection from this address (`peer_key`); None when there is none."""
        limits = self._limits
        with self._lock:
            mine = self._anonymous.get(peer, 0)
            if self._total >= limits.total or self._unauthenticated >= limits.unauthenticated:
                return None
            if mine >= limits.per_peer:
                return None
            self._anonymous[peer] = mine + 1
            self._unauthenticated += 1
            self._total += 1
        return ConnectionSlot(self, peer)

    def leave(self, peer: str, *, anonymous: bool, closed: bool) -> None:
        """One is gone, or is not anonymous any more; called by its slot."""
        with self._lock:
            if anonymous:
                self._unauthenticated -= 1
                self._anonymous[peer] -= 1
                if not self._anonymous[peer]:
                    del self._anonymous[peer]
            self._total -= closed
        if not closed and self._on_known is not None:
            self._on_known(peer)
        if self._on_free is not None:
            self._on_free(peer)


class ByteBudget:
    """Bytes that may be held at one time by all requests together; any thread.

    >>> budget = ByteBudget(10)
    >>> budget.take(8), budget.take(3)
    (True, False)
    >>> budget.give_back(8); budget.take(3)
    True
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many; False and nothing taken when there are not that many left."""
        with self._lock:
            if self._used + size > self._limit:
                return False
            self._used += size
            return True

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._used -= size


def peer_key(address: object) -> str:
    """What counts as one peer, from what a socket says of it: an IPv4 address, an IPv6 network of 64 bits.

    >>> peer_key(("10.0.0.1", 4711)), peer_key(("2001:db8::1:2", 4711, 0, 0)), peer_key(("::ffff:10.0.0.1", 1, 0, 0))
    ('10.0.0.1', '2001:db8::', '10.0.0.1')
    """
    host = str(address[0]) if isinstance(address, tuple) and address else ""
    if ":" not in host:
        return host
    try:
        parsed = ipaddress.IPv6Address(host)
    except ValueError:  # a link-local one with the name of its interface, say
        return host
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))
