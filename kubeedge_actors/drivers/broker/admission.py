"""What one client may take of the broker that all share: connections that have not logged in, packets that are not complete, and work."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from kubeedge_actors.osutil.sockets import error_text
from kubeedge_actors.outage_log import OncePerInterval

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

PENDING = 200
"""Connections that have not logged in."""
PENDING_OF_ONE = 100
"""Of one address."""
ACCEPT_AGAIN = 0.1
"""Seconds until connections are accepted again when the process had no more file descriptors."""
HELD_BYTES = 64 * 1024 * 1024
"""Of packets that are not complete, of all clients together."""

RATE, BURST = 500_000, 50_000
"""Units of `BrokerCore.work` a second that one client may have done, and at once, and the same of all clients together: 20,000 publications of QoS 0 a
second, 50,000 of those that are acknowledged, which is more than was ever reached. Who says more is read more slowly: a thread that never rests holds up
every other one of the process.
"""
LITTLE, LITTLE_AT_ONCE = 2_000, 5_000
"""The same of a client that never waits for what others have had done: 80 publications of QoS 0 a second, 200 at once."""
LONGEST = 1.0
"""Seconds for which what a client has had done is held against it."""


class RareWarnings:
    """A WARNING of one kind, once in a while."""

    def __init__(self) -> None:
        self._once = OncePerInterval()

    def warn(self, text: str, *arguments: object) -> None:
        """Say it, unless something was said a short while ago."""
        if self._once.allow("", asyncio.get_running_loop().time()):
            log.warning(text, *arguments)


class PendingConnections:
    """The tasks of connections that have not logged in, the oldest first: where there are too many, the oldest is cancelled."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._warnings = RareWarnings()

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: asyncio.Task[None], address: str) -> None:
        """A connection from this address begins; of the address with the most of them the oldest one may have to go."""
        self._tasks[task] = address
        counts = Counter(self._tasks.values())
        if counts[address] > PENDING_OF_ONE:
            self._drop_oldest(address)
        elif len(self._tasks) > PENDING:
            self._drop_oldest(counts.most_common(1)[0][0])

    def discard(self, task: asyncio.Task[None]) -> None:
        """It has logged in, or ended."""
        self._tasks.pop(task, None)

    def cancel_all(self) -> None:
        """End them."""
        for task in list(self._tasks):
            task.cancel()

    def _drop_oldest(self, address: str) -> None:
        oldest = next(task for task, of in self._tasks.items() if of == address)
        self.discard(oldest)
        oldest.cancel()
        self._warnings.warn(
            "too many MQTT connections from %s have not logged in: the oldest are ended for newer ones", address
        )


class Holder(Protocol):
    """A connection that may hold a part of a packet."""

    held_bytes: int

    def abort(self) -> None:
        """End it."""


class IncompletePackets:
    """Who holds parts of packets, whose packet began first at the head: it is ended when all together hold too much."""

    def __init__(self) -> None:
        self._holders: dict[Holder, None] = {}
        self._bytes = 0
        self._warnings = RareWarnings()

    def hold(self, holder: Holder, size: int, came: int = 0) -> None:
        """It holds `size` bytes now that `came` have come."""
        if size != holder.held_bytes + came:  # another packet than before
            self._holders.pop(holder, None)
        self._bytes += size - holder.held_bytes
        holder.held_bytes = size
        if size:
            self._holders.setdefault(holder)
        while self._bytes > HELD_BYTES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._holders))
        self.hold(oldest, 0)
        oldest.abort()
        self._warnings.warn("MQTT clients hold %d bytes of incomplete packets: the oldest is ended", HELD_BYTES)


class WorkRate:
    """What was done, against a rate and a burst. Pure; `now`: seconds that only grow.

    >>> rate = WorkRate()
    >>> rate.pause_after(BURST, 0.0), rate.pause_after(1_000, 0.0), rate.pause_after(1_000, 0.01), rate.pause_after(0, 60.0)
    (0.0, 0.002, 0.0, 0.0)
    """

    def __init__(self, rate: int = RATE, burst: int = BURST) -> None:
        self._rate, self._slack = rate, burst / rate
        self._paid_until = -math.inf

    def pause_after(self, work: int, now: float) -> float:
        """Seconds until this much more work is paid for."""
        self._paid_until = min(now + LONGEST, max(self._paid_until, now - self._slack) + work / self._rate)
        return max(0.0, self._paid_until - now)


class ClientWork:
    """What one client has had done, against its own rate, and against that of all clients unless it has little done: many that flood get no more than
    one, in equal parts, and hold up nobody else.
    """

    def __init__(self, everybodys: WorkRate) -> None:
        self._everybodys = everybodys
        self._own, self._little = WorkRate(), WorkRate(LITTLE, LITTLE_AT_ONCE)

    def pause_after(self, work: int, now: float) -> float:
        """Seconds for which to read nothing more of the client, after this much work."""
        own, together = self._own.pause_after(work, now), self._everybodys.pause_after(work, now)
        return max(own, min(together, self._little.pause_after(work, now)))


async def accepted(listener: socket.socket) -> tuple[socket.socket, str]:
    """The next connection and the address it comes from."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            peer, address = await loop.sock_accept(listener)
        except OSError as error:  # it has gone again, or there are no file descriptors left
            log.debug("a connection was not accepted: %s", error_text(error))
            await asyncio.sleep(ACCEPT_AGAIN)
        else:
            return peer, str(address[0])


async def opened(
    peer: socket.socket, context: ssl.SSLContext | None, limit: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The streams of an accepted connection, after the handshake if it is one with TLS. Errors: OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    try:
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, peer, ssl=context)
    except BaseException:
        peer.close()
        raise
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
