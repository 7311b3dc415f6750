"""Connections that have not logged in, and packets that are not complete: both bounded, so that who holds them keeps nobody else out."""

from __future__ import annotations

import asyncio
import logging
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
