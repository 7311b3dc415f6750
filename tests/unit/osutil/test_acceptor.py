"""How connections are begun. What a stranger may take of a port is in tests/security/test_doors.py."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

from kubeedge_actors.osutil import sockets
from kubeedge_actors.osutil.acceptor import Acceptor
from kubeedge_actors.osutil.connection_limits import ConnectionSlot, ServerLimits
from tests.support.waiting import PATIENCE

COUNT = 20


class _Leaving(asyncio.Protocol):
    """A connection that ends at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class _Turns:
    """Counts the turns of the loop, and notes in which of them a connection begins."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.now, self.begun = 0, list[int]()
        self.all_begun = asyncio.Event()
        self._count()

    def _count(self) -> None:
        self.now += 1
        self.loop.call_soon(self._count)

    def begin(self, slot: ConnectionSlot) -> asyncio.Protocol:
        self.begun.append(self.now)
        if len(self.begun) == COUNT:
            self.all_begun.set()
        return _Leaving()


async def _turns_of_many_at_once() -> list[int]:
    turns = _Turns()
    with ExitStack() as stack:
        listener = stack.enter_context(sockets.listen("127.0.0.1", 0, COUNT))
        for _ in range(COUNT):
            stack.enter_context(socket.create_connection(listener.getsockname(), PATIENCE))
        acceptor = Acceptor(listener, turns.begin, None, ServerLimits())
        acceptor.start(COUNT)
        await asyncio.wait_for(turns.all_begun.wait(), PATIENCE)
        acceptor.close()
    return turns.begun


def test_of_many_that_come_at_once_one_begins_in_each_turn_of_the_loop() -> None:
    """So that the handshakes of strangers hold up nobody who is being served."""
    begun = asyncio.run(_turns_of_many_at_once())
    assert len(set(begun)) == COUNT
