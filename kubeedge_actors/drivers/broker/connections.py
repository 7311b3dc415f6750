"""Connections of clients to the embedded broker, from the first packet to the last."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from kubeedge_actors.drivers.broker.admission import (
    PENDING,
    ClientWork,
    IncompletePackets,
    PendingConnections,
    RareWarnings,
    WorkRate,
    accepted,
    opened,
)
from kubeedge_actors.drivers.broker.connect import Connect, ConnectRefused, read_connect
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.packets import (
    CONNECT,
    DISCONNECT,
    IDENTIFIER_REJECTED,
    MAX_REMAINING_LENGTH,
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
from kubeedge_actors.drivers.broker.subscriptions import SLICE

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

CONNECT_WITHIN = 10.0
"""Seconds that a new connection has for the handshake of TLS and its CONNECT."""
CONNECT_LONGEST = 100_000
"""Bytes of a CONNECT, as mosquitto has it: nobody knows yet who says it."""
ENDED_WITHIN = 2.0
"""Seconds that the connections have to take what was said to them when the broker ends."""
CHUNK = 65_536
UNSENT = 1024 * 1024
"""Bytes in the socket of a client from which on QoS 0 is dropped, and the client is not read any more."""
AGAIN = 0.005
"""Seconds until a message that was not taken is offered again."""
CONNECTIONS = 1_000
"""Clients that have logged in."""
TURN = 1_000
"""Units of `BrokerCore.work` after which a client that has said a lot waits until the others had their turn."""
PAUSE = 0.001
"""Seconds that the broker leaves to other threads after `SLICE` steps in the tree of retained messages."""
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""


class Connection:
    """One connected client. `disconnect_received`: it said DISCONNECT, so its will is void."""

    def __init__(self, writer: asyncio.StreamWriter, keepalive: int, everybodys: WorkRate) -> None:
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
        self.held_bytes = 0
        self.rate = ClientWork(everybodys)
        self.ended = asyncio.Event()

    def free_bytes(self) -> int:
        """Bytes that the socket's buffer still takes."""
        return UNSENT - self.transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        """Write bytes to the client."""
        self.writer.write(data)
        self.set_quickack()

    def abort(self) -> None:
        """End it at once."""
        self.transport.abort()

    def set_quickack(self) -> None:
        """Have TCP acknowledge at once what comes next: a client that leaves Nagle's algorithm on (paho, mosquitto_pub)
        waits for it, 40 ms a time, when it sends two packets in a row. The kernel goes back to waiting whenever data
        leaves.
        """
        if QUICKACK is not None and not self.transport.is_closing():
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    async def rest(self, work: int) -> None:
        """Let the other clients have their turn; when this one, or all of them, have had more done than there is, with this much, other threads too."""
        await asyncio.sleep(self.rate.pause_after(work, self.loop.time()))
        self.last_read_at = self.loop.time()

    def check_keepalive(self) -> None:
        """Close the connection when the keep alive time is over."""
        if not self.keepalive_timeout or self.ended.is_set():
            return
        remaining = self.last_read_at + self.keepalive_timeout - self.loop.time()
        if remaining <= 0:
            self.abort()
        else:
            self.loop.call_later(remaining, self.check_keepalive)


class Connections:
    """All connections. Everything happens on the loop that calls `accept`."""

    def __init__(self, core: BrokerCore, passwords: Passwords | None) -> None:
        self._core, self._passwords = core, passwords
        self._of_client: dict[str, Connection] = {}
        self._peers: dict[asyncio.Task[None], asyncio.StreamWriter | None] = {}
        self._pending, self._incomplete = PendingConnections(), IncompletePackets()
        self._taken_ids, self._work = RareWarnings(), WorkRate()
        self._pausing = asyncio.Lock()
        self._expiry: asyncio.TimerHandle | None = None

    async def accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Serve all who connect, until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            peer, address = await accepted(listener)
            if len(self._peers) >= CONNECTIONS + 2 * PENDING:  # some take their time to go
                peer.close()
            else:
                task = loop.create_task(self._handle_peer(peer, context))
                self._peers[task] = None
                self._pending.add(task, address)
                task.add_done_callback(self._on_done)
            await asyncio.sleep(0)  # those that have connected have to get on while others go on connecting

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        del self._peers[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection of an MQTT client has failed", exc_info=error)

    async def _handle_peer(self, peer: socket.socket, context: ssl.SSLContext | None) -> None:
        """Serve a connection to its end."""
        deadline = asyncio.get_running_loop().time() + CONNECT_WITHIN
        try:
            async with asyncio.timeout_at(deadline):
                reader, writer = await opened(peer, context, CHUNK)
        except (OSError, TimeoutError) as error:
            log.debug("a client has not come in: %r", error)
            return
        task = asyncio.current_task()
        assert task is not None
        self._peers[task] = writer
        try:
            await self._serve(reader, writer, deadline, task)
        except (OSError, ProtocolError, TimeoutError) as error:
            log.debug("a client's connection has ended: %r", error)
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        await self._close(writer)

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        """Let the client take what was said to it last, but not for ever."""
        try:
            async with asyncio.timeout(ENDED_WITHIN):
                await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            log.debug("a client did not take the last words: %r", error)
            writer.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deadline: float, task: asyncio.Task[None]
    ) -> None:
        decoder = Decoder(CONNECT_LONGEST)
        try:
            async with asyncio.timeout_at(deadline):
                first, further = await self._first(reader, decoder)
                connect = await read_connect(first)
                await self._log_in(connect)
        except ConnectRefused as refused:
            writer.write(encode_connack(refused.code))
            writer.close()
            return
        decoder.longest = MAX_REMAINING_LENGTH
        self._pending.discard(task)
        connection = self._of_client[connect.client_id] = Connection(writer, connect.keepalive, self._work)
        session, present = self._core.open_session(connect.client_id, connect.clean, connect.user)
        try:
            session.attach(connection.send, connection.free_bytes)
            self._core.on_connected(session, present=present)
            await self._handle(connection, session, further)
            await self._read_loop(connection, session, reader, decoder)
        except (OSError, ProtocolError) as error:
            log.debug("client %r: %s", connect.client_id, error)
        finally:
            self._end(connection, session, connect)
        if connect.will is not None and not connection.disconnect_received:
            await self._publish_will(session, connect.will)

    async def _first(self, reader: asyncio.StreamReader, decoder: Decoder) -> tuple[Packet, Iterator[Packet]]:
        """The first packet, and what a client says before it is answered."""
        begun = False
        while data := await reader.read(CHUNK):
            if not begun and data[0] >> 4 != CONNECT:
                raise ProtocolError(f"a first packet of type {data[0] >> 4}")
            begun, packets = True, decoder.feed(data)
            if (first := next(packets, None)) is not None:
                return first, packets
        raise ProtocolError("it has said nothing")

    async def _log_in(self, connect: Connect) -> None:
        """Let a client in; of two with one name the newer stays (3.1.4), if it is the same user. Error: ConnectRefused."""
        passwords = self._passwords
        # a password costs milliseconds, which are not those of the other clients
        if passwords is not None and not await asyncio.to_thread(passwords.verify, connect.user, connect.password):
            raise ConnectRefused(NOT_AUTHORIZED)
        self._check_owner(connect)
        while (older := self._of_client.get(connect.client_id)) is not None:
            older.abort()
            await older.ended.wait()
            self._check_owner(connect)
        if len(self._of_client) >= CONNECTIONS:
            raise ConnectRefused(SERVER_UNAVAILABLE)

    def _check_owner(self, connect: Connect) -> None:
        """ConnectRefused when the client id has a session of another user. One of somebody who may not log in any more is nobody's."""
        session, passwords = self._core.sessions.get(connect.client_id), self._passwords
        if passwords is None or session is None or session.client.user == connect.user:
            return
        if passwords.knows(session.client.user):
            text = "the MQTT user %r is refused: the client id %r has a session of the user %r"
            self._taken_ids.warn(text, connect.user, connect.client_id[:200], session.client.user)
            raise ConnectRefused(IDENTIFIER_REJECTED)

    async def _read_loop(
        self, connection: Connection, session: Session, reader: asyncio.StreamReader, decoder: Decoder
    ) -> None:
        """Take packets until the client goes or breaks the rules."""
        connection.check_keepalive()
        while not connection.disconnect_received and (data := await reader.read(CHUNK)):
            connection.last_read_at = connection.loop.time()
            await self._handle(connection, session, decoder.feed(data))
            self._incomplete.hold(connection, decoder.held_bytes, len(data))

    async def _handle(self, connection: Connection, session: Session, packets: Iterable[Packet]) -> None:
        core, work = self._core, 0
        for packet in packets:
            if packet.kind == DISCONNECT:
                connection.disconnect_received = True
                break
            before = core.work
            taken = core.handle_packet(session, packet)
            work += core.work - before
            if not taken:
                await self._retry(lambda: core.handle_packet(session, packet), connection)  # noqa: B023  awaited
            if session.retained_delivery is not None or session.retained_steps >= SLICE:
                await self._send_retained(connection, session)
            if work >= TURN:
                self._flush()
                await connection.rest(work)
                work = 0
        self._flush()
        connection.set_quickack()
        if connection.rate.pause_after(work, connection.loop.time()):
            await connection.rest(0)
        if (
            not connection.disconnect_received
        ):  # one that goes is not waited for here: it may never take what is left for it
            await connection.writer.drain()

    async def _send_retained(self, connection: Connection, session: Session) -> None:
        """Send on what a subscription has asked for, while the client takes it and in turns with the others; for a client that goes,
        what its session keeps. Error: ConnectionResetError; it is gone.
        """
        while session.retained_delivery is not None or session.retained_steps >= SLICE:
            if connection.transport.is_closing() and session.clean:
                break
            await self._pause(session)
            if not self._core.send_retained(session) and session.retained_delivery is not None:
                await asyncio.sleep(AGAIN)
            connection.last_read_at = connection.loop.time()
        self._flush()
        await connection.writer.drain()

    async def _pause(self, session: Session) -> None:
        """Let the other clients and the other threads of the process have their turn after a slice. A thread that asks for the GIL again
        at once, as with `sleep(0)`, keeps it from them; one pause after the other for all clients, so that many get no more of it than one.
        """
        self._flush()
        async with self._pausing:
            await asyncio.sleep(PAUSE)
        session.retained_steps = 0

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
        self._incomplete.hold(connection, 0)
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
        self._pending.cancel_all()
        for task, writer in self._peers.items():
            if writer is None:
                task.cancel()
            else:
                writer.transport.close()
        if self._peers:
            await asyncio.wait(list(self._peers), timeout=ENDED_WITHIN)
        for writer in self._peers.values():
            if writer is not None:
                writer.transport.abort()
