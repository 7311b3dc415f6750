"""The clients that are connected to the embedded broker: their sockets, from the first packet to the last."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable

from kubeedge_actors.drivers.broker.door import Hello, Rejected, read_hello
from kubeedge_actors.drivers.broker.exchange import Exchange
from kubeedge_actors.drivers.broker.packets import (
    DISCONNECT,
    NOT_ALLOWED,
    UNAVAILABLE,
    Decoder,
    Packet,
    ProtocolError,
    Publish,
    connack,
)
from kubeedge_actors.drivers.broker.passwords import Passwords
from kubeedge_actors.drivers.broker.session import Session

log = logging.getLogger(__name__)

CONNECT_WITHIN = 10.0
"""Seconds that a new connection has for its CONNECT."""
ENDED_WITHIN = 2.0
"""Seconds that the connections have to take what was said to them when the broker ends."""
CHUNK = 65_536
UNSENT = 1024 * 1024
"""Bytes in the socket of a client from which on QoS 0 is dropped, and the client is not read any more."""
AGAIN = 0.005
"""Seconds until a message that was not taken is offered again."""
CONNECTIONS = 1_000
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""


class Connection:
    """One client that is here. `farewell`: it said DISCONNECT, so its will is void."""

    def __init__(self, writer: asyncio.StreamWriter, keepalive: int) -> None:
        self.transport, self.writer = writer.transport, writer
        self.socket = self.transport.get_extra_info("socket")
        # asyncio does it only for sockets whose protocol number is named, which those of a listener of ours is not
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport.set_write_buffer_limits(high=UNSENT)
        self.loop = asyncio.get_running_loop()
        # a client that was silent for one and a half times its keepalive is gone (3.1.2.10)
        self.patience = keepalive * 1.5
        self.heard = self.loop.time()
        self.farewell = False
        self.ended = asyncio.Event()

    def room(self) -> int:
        """How many bytes more the socket takes before it holds too much."""
        return UNSENT - self.transport.get_write_buffer_size()

    def send(self, said: bytes) -> None:
        """Write it."""
        self.writer.write(said)
        self.acknowledge()

    def acknowledge(self) -> None:
        """Have TCP acknowledge at once what comes next: a client that leaves Nagle's algorithm on (paho, mosquitto_pub)
        waits for it, 40 ms a time, when it sends two packets in a row. The kernel goes back to waiting whenever data
        leaves.
        """
        if QUICKACK is not None and not self.transport.is_closing():
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def watch(self) -> None:
        """End the connection when nothing is heard any more."""
        if not self.patience or self.ended.is_set():
            return
        left = self.heard + self.patience - self.loop.time()
        if left <= 0:
            self.transport.abort()
        else:
            self.loop.call_later(left, self.watch)


class Connections:
    """All of them. Everything happens on the loop that calls `welcome`."""

    def __init__(self, exchange: Exchange, passwords: Passwords | None) -> None:
        self._exchange, self._passwords = exchange, passwords
        self._of_client: dict[str, Connection] = {}
        self._peers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._peers) >= CONNECTIONS:
            self._dismiss(writer, UNAVAILABLE)
            return
        self._peers[task] = writer
        try:
            await self._serve(reader, writer)
        except (OSError, ProtocolError, TimeoutError) as error:
            log.debug("a client's connection has ended: %r", error)
            writer.transport.abort()
        finally:
            await self._part(writer)
            del self._peers[task]

    async def _part(self, writer: asyncio.StreamWriter) -> None:
        """Let the client take what was said to it last, but not for ever."""
        try:
            async with asyncio.timeout(ENDED_WITHIN):
                await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            log.debug("a client did not take the last words: %r", error)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder()
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                first, *further = await self._first(reader, decoder)
                hello = await read_hello(first)
        except Rejected as rejected:
            self._dismiss(writer, rejected.code)
            return
        if self._passwords is not None and not self._passwords.allow(hello.user, hello.password):
            self._dismiss(writer, NOT_ALLOWED)
            return
        await self._take_over(hello.client_id)
        connection = self._of_client[hello.client_id] = Connection(writer, hello.keepalive)
        session, present = self._exchange.open(hello.client_id, hello.clean, hello.user)
        try:
            session.attach(connection.send, connection.room)
            self._exchange.greet(session, present=present)
            await self._handle(connection, session, further)
            await self._converse(connection, session, reader, decoder)
        except (OSError, ProtocolError) as error:
            log.debug("client %s: %s", hello.client_id, error)
        finally:
            self._end(connection, session, hello)
        if hello.will is not None and not connection.farewell:
            await self._bequeath(session, hello.will)

    async def _first(self, reader: asyncio.StreamReader, decoder: Decoder) -> list[Packet]:
        """The first packets; a client may say more before it is answered."""
        while data := await reader.read(CHUNK):
            if found := list(decoder.feed(data)):
                return found
        raise ProtocolError("it has said nothing")

    def _dismiss(self, writer: asyncio.StreamWriter, code: int) -> None:
        writer.write(connack(code))
        writer.close()

    async def _take_over(self, client_id: str) -> None:
        """Of two clients with one name the newer stays (3.1.4)."""
        while (older := self._of_client.get(client_id)) is not None:
            older.transport.abort()
            await older.ended.wait()

    async def _converse(
        self, connection: Connection, session: Session, reader: asyncio.StreamReader, decoder: Decoder
    ) -> None:
        """Take packets until the client goes or breaks the rules."""
        connection.watch()
        while not connection.farewell and (data := await reader.read(CHUNK)):
            connection.heard = connection.loop.time()
            await self._handle(connection, session, decoder.feed(data))

    async def _handle(self, connection: Connection, session: Session, packets: Iterable[Packet]) -> None:
        exchange = self._exchange
        for packet in packets:
            if packet.kind == DISCONNECT:
                connection.farewell = True
                break
            if not exchange.take(session, packet):
                await self._until(lambda: exchange.take(session, packet), connection)  # noqa: B023  awaited
        exchange.flush()
        connection.acknowledge()
        if not connection.farewell:  # one that goes is not waited for here: it may never take what is left for it
            await connection.writer.drain()

    async def _until(self, take: Callable[[], object], connection: Connection | None = None) -> None:
        """Offer again until it is taken; the client is not read meanwhile, so it must not be called silent."""
        while not take():
            self._exchange.flush()
            await asyncio.sleep(AGAIN)
            if connection is not None:
                connection.heard = connection.loop.time()

    async def _bequeath(self, session: Session, will: Publish) -> None:
        if session.rights.may_write(will.topic):
            await self._until(lambda: self._exchange.say(will))
            self._exchange.flush()

    def _end(self, connection: Connection, session: Session, hello: Hello) -> None:
        self._exchange.flush()
        self._exchange.leave(session)
        self._exchange.flush()
        if self._of_client.get(hello.client_id) is connection:
            del self._of_client[hello.client_id]
        connection.writer.close()
        connection.ended.set()

    async def close(self) -> None:
        """End them all."""
        for connection in self._of_client.values():
            connection.farewell = True  # the broker goes, not the client: no wills
        for peer in self._peers.values():
            peer.transport.close()
        if self._peers:
            await asyncio.wait(list(self._peers), timeout=ENDED_WITHIN)
        for peer in self._peers.values():
            peer.transport.abort()
