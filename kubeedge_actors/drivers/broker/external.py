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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.base import InboundMessage, MessageHandler
from kubeedge_actors.drivers.broker.outgoing import MAX_PACKET_ID, Limits, OutgoingQueue
from kubeedge_actors.drivers.broker.packet_stream import KEEPALIVE, PacketStream, Waker
from kubeedge_actors.drivers.broker.packets import Packet, ProtocolError, Publish, checked_filter, checked_publish
from kubeedge_actors.drivers.broker.tls import client_context
from kubeedge_actors.errors import UsageError
from kubeedge_actors.outage_log import OutageLog

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

QOS = 1
CONNECT_WITHIN = 10.0
RETRY = (0.25, 5.0)
"""Seconds before the first and at most before any further try to connect."""
SUBSCRIBE_PACKET_ID = MAX_PACKET_ID + 1
"""The number of our own subscriptions; nobody waits for their answers."""
EXTERNAL_LIMITS = Limits(max_inflight_messages=256, max_queued_messages=10_000, max_queued_bytes=16 * 1024 * 1024)


class Login(NamedTuple):
    """Identity towards the broker. A client id gives a persistent session; an empty one a clean session."""

    client_id: str = ""
    user: str | None = None
    password: str | None = None


ANONYMOUS = Login()


class ExternalBroker:
    """A Broker that runs elsewhere, such as mosquitto. `tls`: the context to connect with, None for plain TCP.

    `wait(event, seconds)`: waits between two tries to connect, until the event at most.
    """

    echoes = True

    def __init__(
        self,
        host: str,
        port: int = 1883,
        login: Login = ANONYMOUS,
        tls: ssl.SSLContext | None = None,
        limits: Limits = EXTERNAL_LIMITS,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._host, self._port, self._login, self._tls = host, port, login, tls
        self._lock = threading.Lock()
        self._queue = OutgoingQueue(limits)
        self._wait = wait
        self._wanted: set[str] = set()
        self._known: set[str] = set()  # filters that a session of ours at the broker may have
        self._unsubscribing = 0
        self._control_packets: deque[bytes] = deque()
        self._handler: MessageHandler | None = None
        self._broker_id = self._delivery_tag = self._handled = 0
        self._unsettled: deque[tuple[int, bytes]] = deque()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._waker: Waker | None = None  # while there is a connection whose thread can be woken
        self._dialled: socket.socket | None = None  # while it may keep us waiting for its TLS handshake
        self._greeted = False  # it has heard what is subscribed: from then on it is told each change
        self._chance = random.Random()
        self._last_error = ""
        self._outage = OutageLog(quiet=0.0)
        self._tried = threading.Event()
        self.connected = threading.Event()
        """Set while the broker can be reached and our subscriptions count."""

    @classmethod
    def from_url(cls, url: str, login: Login = ANONYMOUS, tls: ssl.SSLContext | None = None) -> ExternalBroker:
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
            shown_url = url.rpartition("@")[2]  # without the password
            raise UsageError(f"an MQTT broker is given as tcp://host:port or ssl://host:port, not {shown_url!r}")
        if parts.username is not None:
            login = Login(login.client_id, unquote(parts.username), unquote(parts.password or ""))
        return cls(host, port or (8883 if secure else 1883), login, (tls or client_context()) if secure else None)

    @property
    def is_alive(self) -> bool:
        """True while its thread works, connected or not."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def address(self) -> str:
        """Where the broker is, as host:port."""
        return f"{self._host}:{self._port}"

    @property
    def last_delivery_tag(self) -> int:
        """The delivery tag of the last message that the handler has taken."""
        return self._delivery_tag

    @property
    def dropped_count(self) -> int:
        """Publications that did not fit while the broker was away."""
        return self._queue.dropped

    def unready_reason(self, patience: float = 0.0) -> str:
        """Why it can not be reached or refuses us."""
        self._tried.wait(patience)
        return "" if self.connected.is_set() else self._last_error or "no answer yet"

    def start(self) -> None:
        """Connect, and again whenever the connection is lost, until `close`. Returns at once."""
        if not self.is_alive:
            self._closing.clear()
            self._thread = threading.Thread(target=self._run, name="broker-client", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Disconnect and wait for the thread. What was not acknowledged stays for the next start."""
        self._closing.set()
        self._ring()
        with self._lock:
            if self._dialled is not None:
                with suppress(OSError):  # it is gone already
                    # the base class's method: SSLSocket's own forgets what the other thread is about
                    socket.socket.shutdown(self._dialled, socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()

    def set_handler(self, handler: MessageHandler, broker_id: int = 0) -> None:
        """Offer incoming messages to `handler`."""
        self._handler, self._broker_id = handler, broker_id

    def acknowledge(self, up_to: int) -> None:
        """Acknowledge publications of the broker up to this delivery tag."""
        with self._lock:
            self._handled = max(up_to, self._handled)
            while self._unsettled and self._unsettled[0][0] <= self._handled:
                self._control_packets.append(self._unsettled.popleft()[1])
        self._ring()

    def subscribe(self, filter: str) -> None:
        """Have the broker send what matches, now and after each reconnect."""
        checked_filter(filter)
        with self._lock:
            if filter not in self._wanted:
                self._wanted.add(filter)
                if self._greeted:
                    self._known.add(filter)
                    self._control_packets.append(packets.encode_subscribe(SUBSCRIBE_PACKET_ID, [(filter, QOS)]))
        self._ring()

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe. Error: BrokerError for an invalid filter."""
        checked_filter(filter)
        with self._lock:
            if filter in self._wanted:
                self._wanted.discard(filter)
                if self._greeted:
                    self._unsubscribing += 1
                    self._control_packets.append(packets.encode_unsubscribe(SUBSCRIBE_PACKET_ID, [filter]))
        self._ring()

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Publish with QoS 1 or higher; queued while the broker is away, within the limits. Error: BrokerError for an invalid topic."""
        message = checked_publish(topic, payload, qos, retain)
        with self._lock:
            self._queue.push(message._replace(qos=max(qos, QOS)))
        self._ring()

    def _ring(self) -> None:
        with self._lock:
            if self._waker is not None:
                self._waker.wake()

    def _run(self) -> None:
        delay = RETRY[0]
        while not self._closing.is_set():
            try:
                self._session(self._connect())
            except (OSError, ProtocolError) as error:
                self._failed(str((isinstance(error, OSError) and error.strerror) or error))
            if self.connected.is_set():
                self.connected.clear()
                delay = RETRY[0]
            self._wait(self._closing, delay * self._chance.uniform(0.5, 1.0))
            delay = min(delay * 2, RETRY[1])

    def _failed(self, reason: str) -> None:
        if not self._closing.is_set():
            self._last_error = reason
            if self._outage.on_failure(reason, time.monotonic()):
                log.warning("the MQTT broker at %s can not be used: %s", self.address, reason)
        self._tried.set()

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), CONNECT_WITHIN)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain if self._tls is None else self._secured(plain, self._tls)
        except BaseException:
            plain.close()
            raise

    def _secured(self, plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        """The TLS handshake, which `close` ends as well."""
        secure = tls.wrap_socket(plain, server_hostname=self._host, do_handshake_on_connect=False)
        with self._lock:
            self._dialled = secure
        try:
            if self._closing.is_set():
                raise ConnectionAbortedError("closed by this side")
            secure.do_handshake()
        except BaseException:
            secure.close()
            raise
        finally:
            with self._lock:
                self._dialled = None
        return secure

    @contextmanager
    def _own_bell(self) -> Iterator[Waker]:
        """A bell that rings until the end of the block."""
        waker = Waker()
        with self._lock:
            self._waker = waker
        try:
            yield waker
        finally:
            with self._lock:
                self._waker, self._greeted = None, False
            waker.close()

    def _session(self, peer: socket.socket) -> None:
        with peer, self._own_bell() as waker:
            login = self._login
            hello = packets.encode_connect(
                login.client_id, KEEPALIVE, login.user, login.password, clean_session=not login.client_id
            )
            peer.sendall(hello)
            stream = PacketStream(peer, waker)
            try:
                self._handshake(stream)
                while not self._closing.is_set():
                    self._take(stream)
                    with self._lock:
                        while self._control_packets:
                            stream.send(self._control_packets.popleft())
                        stream.send(self._queue.next_packets())
                    stream.poll_once()
                stream.send(packets.DISCONNECT_PACKET)
            finally:
                stream.terminate()

    def _handshake(self, stream: PacketStream) -> None:
        """Wait for the CONNACK, then say what a broker that forgot us has to know.

        Error: ProtocolError when it refuses us.
        """
        deadline = time.monotonic() + CONNECT_WITHIN
        while not stream.arrived:
            if self._closing.is_set():
                return
            if (now := time.monotonic()) >= deadline:
                raise ProtocolError("it does not answer")
            stream.poll_once(deadline - now)
        if refusal := packets.read_connack(stream.arrived.popleft()):
            raise ProtocolError(refusal)
        with self._lock:
            has_filters = bool(self._wanted)
            self._control_packets.clear()
            self._unsettled.clear()  # the broker says them again
            if unwanted := self._known - self._wanted:
                stream.send(packets.encode_unsubscribe(SUBSCRIBE_PACKET_ID, sorted(unwanted)))
            self._unsubscribing, self._greeted = int(bool(unwanted)), True
            self._known |= self._wanted
            if self._wanted:
                stream.send(
                    packets.encode_subscribe(SUBSCRIBE_PACKET_ID, [(filter, QOS) for filter in sorted(self._wanted)])
                )
            stream.send(self._queue.resend_packets())
        if not has_filters:
            self._usable()

    def _usable(self) -> None:
        self.connected.set()
        self._tried.set()
        self._last_error = ""
        self._outage.log_recovery(log, f"the MQTT broker at {self.address} can be used again", time.monotonic())

    def _take(self, stream: PacketStream) -> None:
        """Handle what arrived, up to the first arrival that the tap does not take now."""
        while stream.arrived:
            packet = stream.arrived[0]
            if packet.kind == packets.PUBLISH:
                if not self._published(stream, packets.read_publish(packet)):
                    return
            else:
                self._on_ack_packet(stream, packet)
            stream.arrived.popleft()

    def _published(self, stream: PacketStream, message: Publish) -> bool:
        receipt = self._delivery_tag + 1 if message.qos and self._broker_id and self._handler is not None else 0
        arrival = InboundMessage(message.topic, message.payload, message.qos, message.retain, receipt, self._broker_id)
        ack = packets.encode_ack(packets.PUBACK if message.qos == 1 else packets.PUBREC, message.packet_id)
        with self._lock:
            # noted before it is offered: it may be settled before the tap returns
            if receipt:
                self._unsettled.append((receipt, ack))
        if self._handler is not None and not self._handler(arrival):
            with self._lock:
                if receipt:
                    self._unsettled.pop()
            return False
        if receipt:
            self._delivery_tag = receipt
        elif message.qos:
            stream.send(ack)
        return True

    def _on_ack_packet(self, stream: PacketStream, packet: Packet) -> None:
        kind = packet.kind
        if kind == packets.PUBACK or kind == packets.PUBCOMP:
            with self._lock:
                self._queue.on_puback_or_pubcomp(packets.read_ack(packet))
        elif kind == packets.PUBREC:
            with self._lock:
                stream.send(self._queue.on_pubrec(packets.read_ack(packet)))
        elif kind == packets.PUBREL:
            stream.send(packets.encode_ack(packets.PUBCOMP, packets.read_ack(packet)))
        elif kind == packets.UNSUBACK:
            with self._lock:
                self._unsubscribing -= 1
                if self._unsubscribing == 0:
                    self._known &= self._wanted
        elif kind == packets.SUBACK:
            self._usable()
            if packets.SUBACK_FAILURE in packets.read_suback(packet)[1]:
                log.warning("the MQTT broker at %s has rejected a subscription", self.address)
