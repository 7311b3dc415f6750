"""Connections of clients to the embedded broker, from the first packet to the last."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable

from kubeedge_actors.drivers.broker.connect import Connect, ConnectRefused, read_connect
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.packets import (
    DISCONNECT,
    NOT_AUTHORIZED,
    SERVER_UNAVAILABLE,
    Decoder,
    Packet,
    ProtocolError,
    Publish,
    encode_connack,
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
TURN = 1_000
"""Units of `BrokerCore.work` after which a client that has said a lot waits until the others had their turn."""
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""


class Connection:
    """One connected client. `disconnect_received`: it said DISCONNECT, so its will is void."""

    def __init__(self, writer: asyncio.StreamWriter, keepalive: int) -> None:
        self.transport, self.writer = writer.transport, writer
        self.socket = self.transport.get_extra_info("socket")
        # asyncio does it only for sockets whose protocol number is named, which those of a listener of ours is not
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport.set_write_buffer_limits(high=UNSENT)
        self.loop = asyncio.get_running_loop()
        # a client that was silent for one and a half times its keepalive is gone (3.1.2.10)
        self.keepalive_timeout = keepalive * 1.5
        self.last_read_at = self.loop.time()
        self.disconnect_received = False
        self.ended = asyncio.Event()

    def free_bytes(self) -> int:
        """Bytes that the socket's buffer still takes."""
        return UNSENT - self.transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        """Write bytes to the client."""
        self.writer.write(data)
        self.set_quickack()

    def set_quickack(self) -> None:
        """Have TCP acknowledge at once what comes next: a client that leaves Nagle's algorithm on (paho, mosquitto_pub)
        waits for it, 40 ms a time, when it sends two packets in a row. The kernel goes back to waiting whenever data
        leaves.
        """
        if QUICKACK is not None and not self.transport.is_closing():
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def check_keepalive(self) -> None:
        """Close the connection when the keep alive time is over."""
        if not self.keepalive_timeout or self.ended.is_set():
            return
        remaining = self.last_read_at + self.keepalive_timeout - self.loop.time()
        if remaining <= 0:
            self.transport.abort()
        else:
            self.loop.call_later(remaining, self.check_keepalive)


class Connections:
    """All connections. Everything happens on the loop that calls `handle`."""

    def __init__(self, core: BrokerCore, passwords: Passwords | None) -> None:
        self._core, self._passwords = core, passwords
        self._of_client: dict[str, Connection] = {}
        self._peers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._expiry: asyncio.TimerHandle | None = None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._peers) >= CONNECTIONS:
            self._refuse(writer, SERVER_UNAVAILABLE)
            return
        self._peers[task] = writer
        try:
            await self._serve(reader, writer)
        except (OSError, ProtocolError, TimeoutError) as error:
            log.debug("a client's connection has ended: %r", error)
            writer.transport.abort()
        finally:
            await self._close(writer)
            del self._peers[task]

    async def _close(self, writer: asyncio.StreamWriter) -> None:
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
                connect = await read_connect(first)
        except ConnectRefused as rejected:
            self._refuse(writer, rejected.code)
            return
        if self._passwords is not None and not self._passwords.verify(connect.user, connect.password):
            self._refuse(writer, NOT_AUTHORIZED)
            return
        await self._take_over(connect.client_id)
        connection = self._of_client[connect.client_id] = Connection(writer, connect.keepalive)
        session, present = self._core.open_session(connect.client_id, connect.clean, connect.user)
        try:
            session.attach(connection.send, connection.free_bytes)
            self._core.on_connected(session, present=present)
            await self._handle(connection, session, further)
            await self._read_loop(connection, session, reader, decoder)
        except (OSError, ProtocolError) as error:
            log.debug("client %s: %s", connect.client_id, error)
        finally:
            self._end(connection, session, connect)
        if connect.will is not None and not connection.disconnect_received:
            await self._publish_will(session, connect.will)

    async def _first(self, reader: asyncio.StreamReader, decoder: Decoder) -> list[Packet]:
        """The first packets; a client may say more before it is answered."""
        while data := await reader.read(CHUNK):
            if packets := list(decoder.feed(data)):
                return packets
        raise ProtocolError("it has said nothing")

    def _refuse(self, writer: asyncio.StreamWriter, code: int) -> None:
        writer.write(encode_connack(code))
        writer.close()

    async def _take_over(self, client_id: str) -> None:
        """Of two clients with one name the newer stays (3.1.4)."""
        while (older := self._of_client.get(client_id)) is not None:
            older.transport.abort()
            await older.ended.wait()

    async def _read_loop(
        self, connection: Connection, session: Session, reader: asyncio.StreamReader, decoder: Decoder
    ) -> None:
        """Take packets until the client goes or breaks the rules."""
        connection.check_keepalive()
        while not connection.disconnect_received and (data := await reader.read(CHUNK)):
            connection.last_read_at = connection.loop.time()
            await self._handle(connection, session, decoder.feed(data))

    async def _handle(self, connection: Connection, session: Session, packets: Iterable[Packet]) -> None:
        core, begun = self._core, self._core.work
        for packet in packets:
            if packet.kind == DISCONNECT:
                connection.disconnect_received = True
                break
            if not core.handle_packet(session, packet):
                await self._retry(lambda: core.handle_packet(session, packet), connection)  # noqa: B023  awaited
            if session.retained_delivery is not None:
                await self._send_retained(connection, session)
            if core.work - begun >= TURN:
                await self._end_turn()
                begun = core.work
        self._flush()
        connection.set_quickack()
        if (
            not connection.disconnect_received
        ):  # one that goes is not waited for here: it may never take what is left for it
            await connection.writer.drain()

    async def _end_turn(self) -> None:
        """Let the others have theirs."""
        self._flush()
        await asyncio.sleep(0)

    async def _send_retained(self, connection: Connection, session: Session) -> None:
        """Send on what a subscription has asked for, while the client takes it and in turns with the others; for a client that goes,
        what its session keeps. Error: ConnectionResetError; it is gone.
        """
        while (steps := self._core.send_retained(session)) is not None:
            if connection.transport.is_closing() and session.clean:
                break
            await self._end_turn()
            if not steps:
                await asyncio.sleep(AGAIN)
            connection.last_read_at = connection.loop.time()
        await connection.writer.drain()

    def _flush(self) -> None:
        """Write what was said, and see to it that nobody waits too long for a subscriber."""
        self._core.flush()
        if self._expiry is None and (deadline := self._core.deadline()) is not None:
            self._expiry = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self._core.expire()
        self._flush()

    async def _retry(self, take: Callable[[], object], connection: Connection | None = None) -> None:
        """Offer again until it is taken; the client is not read meanwhile, so it must not be called silent."""
        while not take():
            self._flush()
            await asyncio.sleep(AGAIN)
            if connection is not None:
                connection.last_read_at = connection.loop.time()

    async def _publish_will(self, session: Session, will: Publish) -> None:
        if session.permissions.may_write(will.topic):
            await self._retry(lambda: self._core.publish_from_client(will))
            self._flush()

    def _end(self, connection: Connection, session: Session, connect: Connect) -> None:
        self._flush()
        self._core.on_disconnected(session)
        self._flush()
        if self._of_client.get(connect.client_id) is connection:
            del self._of_client[connect.client_id]
        connection.writer.close()
        connection.ended.set()

    async def close(self) -> None:
        """End them all."""
        for connection in self._of_client.values():
            connection.disconnect_received = True  # the broker goes, not the client: no wills
        for peer in self._peers.values():
            peer.transport.close()
        if self._peers:
            await asyncio.wait(list(self._peers), timeout=ENDED_WITHIN)
        for peer in self._peers.values():
            peer.transport.abort()
