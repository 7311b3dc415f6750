"""The MQTT broker in this process: amqtt on its own thread, with our message path.

amqtt 0.12.1 serves the sockets, reads CONNECT and answers it, and ends. What happens between CONNACK and the end of a
connection is `exchange.py`: amqtt swallows what clients publish on `$` topics, sends new clients retained messages that
they did not ask for, takes the subscriber's QoS for the lesser one, loses QoS 1 and 2 in flight when an acknowledgement
is slow, has no bound on what waits, forgets anonymous sessions, does not look at keepalive, and needs 150 us for a
message. Private methods are overridden for that, so the version is pinned (setup.cfg) and tests with real clients hold
the behaviour.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter  # type: ignore[import-untyped]
from amqtt.broker import Broker as AmqttBroker  # type: ignore[import-untyped]
from amqtt.errors import AMQTTError, MQTTError  # type: ignore[import-untyped]
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler  # type: ignore[import-untyped]

from kubeedge_actors.drivers.broker.base import Tap
from kubeedge_actors.drivers.broker.exchange import Counters, Exchange, Session
from kubeedge_actors.drivers.broker.filters import valid_filter, valid_topic
from kubeedge_actors.drivers.broker.listener import is_loopback, listen
from kubeedge_actors.drivers.broker.outbox import LIMITS, Limits
from kubeedge_actors.drivers.broker.packets import DISCONNECT, Decoder, ProtocolError, Publish
from kubeedge_actors.drivers.broker.passwords import Passwords
from kubeedge_actors.errors import BrokerError

log = logging.getLogger(__name__)

CONNECT_WITHIN = 10.0
"""Seconds that a new connection has for its CONNECT."""
ENDED_WITHIN = 2.0
"""Seconds that the connections have to take what was said to them when the broker ends."""
CHUNK = 65_536
UNSENT = 1024 * 1024
"""Bytes in the socket of a client from which on QoS 0 is dropped, and the client is not read any more."""
AGAIN = 0.005
"""Seconds until a message that the tap did not take is offered again."""
CONNECTIONS = 1_000
WAITING = 10_000
"""Publications from inside that may wait for the broker's thread."""
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""
AT_ONCE = 64
"""Of those, how many are put together before they leave."""
PATIENCE = 5.0
"""Seconds that whoever publishes more than that is held."""


class EmbeddedBroker:
    """A Broker that serves MQTT 3.1.1 on `host`:`port`; port 0 takes a free one.

    Anonymous clients are let in on loopback only; with `passwords` every client has to have one.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 1883, passwords: Passwords | None = None, limits: Limits = LIMITS
    ) -> None:
        self._host, self._port, self._passwords = host, port, passwords
        self._exchange = Exchange(limits)
        self._tapped: set[str] = set()
        self._outgoing: deque[Publish] = deque()
        self._scheduled = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def alive(self) -> bool:
        """True while its thread serves."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def address(self) -> str:
        """Where it listens, as host:port."""
        return f"{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def counters(self) -> Counters:
        """What happened since it was made."""
        return self._exchange.counters

    def start(self) -> None:
        """Serve until `close`.

        Error: BrokerError when the address can not be had, or is open to others without passwords.
        """
        with self._lock:
            if self.alive:
                return
            if self._passwords is None and not is_loopback(self._host):
                raise BrokerError(f"MQTT on {self._host} is open to other machines: that needs a password file")
            listener = listen(self._host, self._port)
            self._port = listener.getsockname()[1]
            serving: Future[None] = Future()
            self._thread = threading.Thread(target=self._run, args=(listener, serving), name="broker", daemon=True)
            self._thread.start()
            serving.result()

    def close(self) -> None:
        """End all connections and wait for the thread; sessions and retained messages are kept for the next start."""
        with self._lock:
            loop, ending, thread = self._loop, self._ending, self._thread
            if loop is not None and ending is not None and self.alive:
                loop.call_soon_threadsafe(ending.set)
            if thread is not None:
                thread.join()
            self._thread = self._loop = None

    def listen(self, tap: Tap) -> None:
        """Offer arrivals to `tap`."""
        self._exchange.tap = tap

    def subscribe(self, filter: str) -> None:
        """Offer what clients publish on topics that match."""
        if not valid_filter(filter):
            raise BrokerError(f"{filter!r} is not a filter of MQTT topics")
        self._call(lambda: self._exchange.listen(filter, True))

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe."""
        self._call(lambda: self._exchange.listen(filter, False))

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Say it to the clients that subscribed."""
        if not valid_topic(topic):
            raise BrokerError(f"{topic!r} is not an MQTT topic")
        if len(self._outgoing) >= WAITING:
            self._wait_for_room()
        loop = self._loop
        if loop is None:
            raise BrokerError("the embedded broker does not run")
        self._outgoing.append(Publish(topic, payload, qos, retain))
        if not self._scheduled:
            # one wake-up for all that comes until it is taken; `_drain` resets the flag before it looks, so nothing is
            # left behind
            self._scheduled = True
            loop.call_soon_threadsafe(self._drain)

    def _wait_for_room(self) -> None:
        """Give the broker's thread, which never waits for anybody, a chance to catch up."""
        deadline = time.monotonic() + PATIENCE
        while len(self._outgoing) >= WAITING and self.alive:
            if time.monotonic() > deadline:
                raise BrokerError("the embedded broker does not keep up")
            time.sleep(0.001)

    def _drain(self) -> None:
        self._scheduled = False
        outgoing, exchange = self._outgoing, self._exchange
        while outgoing:
            for _ in range(min(len(outgoing), AT_ONCE)):
                exchange.publish(outgoing.popleft())
            exchange.flush()

    def _call(self, change: Callable[[], None]) -> None:
        """Make a change where the exchange lives: on the broker's thread, or here while there is none."""
        loop = self._loop
        if loop is None:
            change()
        else:
            loop.call_soon_threadsafe(change)

    def _run(self, listener: socket.socket, serving: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listener, serving))
        except (
            Exception
        ) as error:  # whatever it is, the starter must hear of it, and a running one ends visibly (`alive`)
            log.exception("the embedded broker has ended")
            if not serving.done():
                serving.set_exception(BrokerError(f"the embedded broker does not start: {error}"))
        finally:
            self._loop = None
            listener.close()

    async def _serve(self, listener: socket.socket, serving: Future[None]) -> None:
        for chatty in ("amqtt", "transitions"):  # each connection is a line at INFO, each bad one a line at WARNING
            logging.getLogger(chatty).setLevel(logging.ERROR)
        self._ending = asyncio.Event()
        broker = _Broker(self._exchange, listener, self._passwords)
        await broker.start()
        self._loop = asyncio.get_running_loop()
        serving.set_result(None)
        await self._ending.wait()
        self._loop = None
        self._drain()
        await broker.shutdown()


class _Connection:
    """One client that is here. `farewell`: it said DISCONNECT, so its will is void."""

    def __init__(self, reader: _Reader, writer: _Writer, keepalive: int) -> None:
        self.stream, self.transport, self.writer = reader.stream, writer.stream.transport, writer.stream
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
        if QUICKACK is not None:
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


class _Reader(StreamReaderAdapter):  # type: ignore[misc]
    """amqtt's reader, with the stream within reach."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        super().__init__(stream)
        self.stream = stream


class _Writer(StreamWriterAdapter):  # type: ignore[misc]
    """amqtt's writer, with the stream within reach."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        super().__init__(stream)
        self.stream = stream


class _Broker(AmqttBroker):  # type: ignore[misc]
    """amqtt's broker with our own way of handling a client once its CONNECT was read."""

    def __init__(self, exchange: Exchange, listener: socket.socket, passwords: Passwords | None) -> None:
        # no plugins: those of amqtt cost 2 MB (password hashes, psutil) and do what is done here
        config = {"listeners": {"default": {"type": "tcp", "max_connections": CONNECTIONS}}, "plugins": {}}
        super().__init__(config)
        self._exchange, self._listener, self._passwords = exchange, listener, passwords
        self._connections: dict[str, _Connection] = {}
        self._peers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def _create_server_instance(self, *_: Any) -> asyncio.Server:
        return await asyncio.start_server(self._stream_connected, sock=self._listener)

    async def _stream_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._peers[task] = writer
        try:
            await self._client_connected("default", _Reader(reader), _Writer(writer))
        finally:
            del self._peers[task]

    async def _session_monitor(self) -> None:
        """Nothing to look for: sessions live in the exchange."""

    async def _initialize_client_session(self, reader: _Reader, writer: _Writer, *_: Any) -> tuple[Any, Any]:
        """Read the CONNECT. Whatever a stranger sends instead ends this connection and nothing else."""
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                return tuple(await BrokerProtocolHandler.init_from_connect(reader, writer, self.plugins_manager))
        except Exception as error:
            log.debug("not a CONNECT: %r", error)
            writer.stream.transport.abort()
            raise MQTTError(str(error)) from error

    async def _handle_client_session(self, reader: _Reader, writer: _Writer, asked: Any, handler: Any, *_: Any) -> None:
        handler.attach(asked, reader, writer)
        if self._passwords is not None and not self._passwords.allow(asked.username, asked.password):
            await handler.mqtt_connack_authorize(False)
            writer.stream.close()
            return
        await self._take_over(asked.client_id)
        connection = self._connections[asked.client_id] = _Connection(reader, writer, asked.keep_alive)
        session, asked.parent = self._exchange.open(asked.client_id, bool(asked.clean_session))
        try:
            await handler.mqtt_connack_authorize(True)
            session.attach(connection.send, connection.room)
            await self._converse(connection, session)
        except (OSError, ProtocolError, AMQTTError) as error:
            log.debug("client %s: %s", asked.client_id, error)
        finally:
            self._end(connection, session, asked)
        if asked.will_flag and not connection.farewell:
            await self._until(lambda: self._exchange.say(_will(asked)))
            self._exchange.flush()

    async def _take_over(self, client_id: str) -> None:
        """Of two clients with one name the newer stays (3.1.4)."""
        while (older := self._connections.get(client_id)) is not None:
            older.transport.abort()
            await older.ended.wait()

    async def _converse(self, connection: _Connection, session: Session) -> None:
        """Take packets until the client goes or breaks the rules."""
        exchange, decoder, stream = self._exchange, Decoder(), connection.stream
        connection.watch()
        exchange.greet(session)
        exchange.flush()
        while data := await stream.read(CHUNK):
            connection.heard = connection.loop.time()
            for packet in decoder.feed(data):
                if packet.kind == DISCONNECT:
                    connection.farewell = True
                    return
                if not exchange.take(session, packet):
                    await self._until(lambda: exchange.take(session, packet), connection)  # noqa: B023  awaited
            exchange.flush()
            connection.acknowledge()
            await connection.writer.drain()

    async def _until(self, take: Callable[[], bool], connection: _Connection | None = None) -> None:
        """Offer again until it is taken; the client is not read meanwhile, so it must not be called silent."""
        while not take():
            self._exchange.flush()
            await asyncio.sleep(AGAIN)
            if connection is not None:
                connection.heard = connection.loop.time()

    def _end(self, connection: _Connection, session: Session, asked: Any) -> None:
        self._exchange.flush()
        self._exchange.leave(session)
        if self._connections.get(asked.client_id) is connection:
            del self._connections[asked.client_id]
        connection.writer.close()
        connection.ended.set()

    async def shutdown(self) -> None:
        """End all connections, then what amqtt has to end."""
        for connection in self._connections.values():
            connection.farewell = True  # the broker goes, not the client: no wills
        for peer in self._peers.values():
            peer.transport.close()
        if self._peers:
            await asyncio.wait(list(self._peers), timeout=ENDED_WITHIN)
        for peer in self._peers.values():
            peer.transport.abort()
        await super().shutdown()


def _will(asked: Any) -> Publish:
    return Publish(asked.will_topic, bytes(asked.will_message), asked.will_qos or 0, bool(asked.will_retain))
