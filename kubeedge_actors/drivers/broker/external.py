"""The client of an MQTT broker beside this process, such as mosquitto: one thread that owns one socket.

A client of our own and not amqtt's: it needs no event loop, keeps what was not acknowledged over a lost connection, and
costs an edge with an external broker less memory. It speaks QoS 1 both ways, as edgecore does (source: KubeEdge
edge/pkg/eventbus).
"""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.base import Arrival, Tap
from kubeedge_actors.drivers.broker.filters import valid_filter, valid_topic
from kubeedge_actors.drivers.broker.outbox import LAST_ID, Limits, Outbox
from kubeedge_actors.drivers.broker.packets import Packet, ProtocolError, Publish
from kubeedge_actors.drivers.broker.talk import KEEPALIVE, Bell, Talk
from kubeedge_actors.drivers.broker.tls import client_context
from kubeedge_actors.errors import BrokerError, UsageError

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

QOS = 1
CONNECT_WITHIN = 10.0
RETRY = (0.25, 5.0)
"""Seconds before the first and at most before any further try to connect."""
ERRAND = LAST_ID + 1
"""The number of our own subscriptions; nobody waits for their answers."""
LIMITS = Limits(window=256, longest=10_000, bytes=16 * 1024 * 1024)


class Login(NamedTuple):
    """Who we are to the broker. It remembers us by the client id; an empty one lets it choose one and forget us."""

    client_id: str = ""
    user: str | None = None
    password: str | None = None


NOBODY = Login()


class ExternalBroker:
    """A Broker that is somebody else's. `tls`: the context to connect with, None for plain TCP."""

    def __init__(
        self,
        host: str,
        port: int = 1883,
        login: Login = NOBODY,
        tls: ssl.SSLContext | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self._host, self._port, self._login, self._tls = host, port, login, tls
        self._lock = threading.Lock()
        self._outbox = Outbox(limits)
        self._wanted: set[str] = set()
        self._unwanted: set[str] = set()
        self._errands: deque[bytes] = deque()
        self._tap: Tap | None = None
        self._source = self._receipt = self._handled = 0
        self._unsettled: deque[tuple[int, bytes]] = deque()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._bell: Bell | None = None  # while there is a connection whose thread can be woken
        self._chance = random.Random()
        self._complaint = ""
        self.connected = threading.Event()
        """Set while the broker can be reached and our subscriptions count."""

    @classmethod
    def at(cls, url: str, login: Login = NOBODY, tls: ssl.SSLContext | None = None) -> ExternalBroker:
        """The broker of `tcp://[user:password@]host[:port]`, or `ssl://`, with the system's authorities if `tls` is not given.

        Error: UsageError.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        secure = parts.scheme in ("ssl", "tls", "mqtts") if host else False
        if not host or not (secure or parts.scheme in ("tcp", "mqtt")):
            told = url.rpartition("@")[2]  # without the password
            raise UsageError(f"an MQTT broker is given as tcp://host:port or ssl://host:port, not {told!r}")
        if parts.username is not None:
            login = Login(login.client_id, unquote(parts.username), unquote(parts.password or ""))
        return cls(host, port or (8883 if secure else 1883), login, (tls or client_context()) if secure else None)

    @property
    def alive(self) -> bool:
        """True while its thread works, connected or not."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def address(self) -> str:
        """Where the broker is, as host:port."""
        return f"{self._host}:{self._port}"

    @property
    def offered(self) -> int:
        """The receipt of the last arrival that the tap has taken."""
        return self._receipt

    @property
    def lost(self) -> int:
        """Publications that did not fit while the broker was away."""
        return self._outbox.dropped

    def start(self) -> None:
        """Connect, and again whenever the connection is lost, until `close`. Returns at once."""
        if not self.alive:
            self._closing.clear()
            self._thread = threading.Thread(target=self._run, name="broker-client", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Say goodbye and wait for the thread. What was not acknowledged stays for the next start."""
        self._closing.set()
        self._ring()
        if self._thread is not None:
            self._thread.join()

    def listen(self, tap: Tap, source: int = 0) -> None:
        """Offer arrivals to `tap`."""
        self._tap, self._source = tap, source

    def settle(self, receipt: int) -> None:
        """Acknowledge what the broker sent up to this receipt."""
        with self._lock:
            self._handled = max(receipt, self._handled)
            while self._unsettled and self._unsettled[0][0] <= self._handled:
                self._errands.append(self._unsettled.popleft()[1])
        self._ring()

    def subscribe(self, filter: str) -> None:
        """Have the broker send what matches, now and after each reconnect."""
        if not valid_filter(filter):
            raise BrokerError(f"{filter!r} is not a filter of MQTT topics")
        with self._lock:
            if filter not in self._wanted:
                self._wanted.add(filter)
                self._unwanted.discard(filter)
                self._errands.append(packets.subscribe(ERRAND, [(filter, QOS)]))
        self._ring()

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe."""
        with self._lock:
            if filter in self._wanted:
                self._wanted.discard(filter)
                self._unwanted.add(filter)
                self._errands.append(packets.unsubscribe(ERRAND, [filter]))
        self._ring()

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Say it, with QoS 1 or higher; it waits while the broker is away, as far as the limits go."""
        if not valid_topic(topic):
            raise BrokerError(f"{topic!r} is not an MQTT topic")
        with self._lock:
            self._outbox.push(Publish(topic, payload, max(qos, QOS), retain))
        self._ring()

    def _ring(self) -> None:
        with self._lock:
            if self._bell is not None:
                self._bell.ring()

    def _run(self) -> None:
        delay = RETRY[0]
        while not self._closing.is_set():
            try:
                self._converse(self._connect())
            except (OSError, ProtocolError) as error:
                reason = str((isinstance(error, OSError) and error.strerror) or error)
                if reason != self._complaint:  # once per outage and reason
                    self._complaint = reason
                    log.warning("the MQTT broker at %s can not be used: %s", self.address, reason)
            if self.connected.is_set():
                self.connected.clear()
                delay = RETRY[0]
            self._closing.wait(delay * self._chance.uniform(0.5, 1.0))
            delay = min(delay * 2, RETRY[1])

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), CONNECT_WITHIN)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise

    @contextmanager
    def _own_bell(self) -> Iterator[Bell]:
        """A bell that rings until the end of the block."""
        bell = Bell()
        with self._lock:
            self._bell = bell
        try:
            yield bell
        finally:
            with self._lock:
                self._bell = None
            bell.close()

    def _converse(self, peer: socket.socket) -> None:
        with peer, self._own_bell() as bell:
            login = self._login
            hello = packets.connect(login.client_id, KEEPALIVE, login.user, login.password, clean=not login.client_id)
            peer.sendall(hello)
            talk = Talk(peer, bell)
            self._enter(talk)
            try:
                while not self._closing.is_set():
                    self._take(talk)
                    with self._lock:
                        while self._errands:
                            talk.say(self._errands.popleft())
                        talk.say(self._outbox.due())
                    talk.turn()
                talk.say(packets.GOODBYE)
            finally:
                talk.end()

    def _enter(self, talk: Talk) -> None:
        """Wait for the CONNACK, then say what a broker that forgot us has to know.

        Error: ProtocolError when it refuses us.
        """
        deadline = time.monotonic() + CONNECT_WITHIN
        while not talk.arrived:
            if time.monotonic() > deadline:
                raise ProtocolError("it does not answer")
            talk.turn()
        if refusal := packets.read_connack(talk.arrived.popleft()):
            raise ProtocolError(refusal)
        with self._lock:
            wanted = bool(self._wanted)
            self._errands.clear()
            self._unsettled.clear()  # the broker says them again
            if self._unwanted:
                talk.say(packets.unsubscribe(ERRAND, sorted(self._unwanted)))
            if self._wanted:
                talk.say(packets.subscribe(ERRAND, [(each, QOS) for each in sorted(self._wanted)]))
            talk.say(self._outbox.resume())
        if not wanted:
            self._usable()

    def _usable(self) -> None:
        self.connected.set()
        if self._complaint:
            log.warning("the MQTT broker at %s can be used again", self.address)
            self._complaint = ""

    def _take(self, talk: Talk) -> None:
        """Handle what arrived, up to the first arrival that the tap does not take now."""
        while talk.arrived:
            packet = talk.arrived[0]
            if packet.kind == packets.PUBLISH:
                if not self._published(talk, packets.read_publish(packet)):
                    return
            else:
                self._answered(talk, packet)
            talk.arrived.popleft()

    def _published(self, talk: Talk, message: Publish) -> bool:
        receipt = self._receipt + 1 if message.qos and self._source and self._tap is not None else 0
        arrival = Arrival(message.topic, message.payload, message.qos, message.retain, receipt, self._source)
        ack = packets.ack(packets.PUBACK if message.qos == 1 else packets.PUBREC, message.packet_id)
        with self._lock:
            # noted before it is offered: it may be settled before the tap returns
            if receipt:
                self._unsettled.append((receipt, ack))
        if self._tap is not None and not self._tap(arrival):
            with self._lock:
                if receipt:
                    self._unsettled.pop()
            return False
        if receipt:
            self._receipt = receipt
        elif message.qos:
            talk.say(ack)
        return True

    def _answered(self, talk: Talk, packet: Packet) -> None:
        kind = packet.kind
        if kind == packets.PUBACK or kind == packets.PUBCOMP:
            with self._lock:
                self._outbox.acknowledged(packets.read_ack(packet))
        elif kind == packets.PUBREC:
            with self._lock:
                talk.say(self._outbox.received(packets.read_ack(packet)))
        elif kind == packets.PUBREL:
            talk.say(packets.ack(packets.PUBCOMP, packets.read_ack(packet)))
        elif kind == packets.SUBACK:
            self._usable()
            if packets.REFUSED in packets.read_suback(packet)[1]:
                log.warning("the MQTT broker at %s refuses a subscription", self.address)
