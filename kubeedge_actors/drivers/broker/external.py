"""The client of an MQTT broker beside this process, such as mosquitto: one thread that owns one socket.

A client of our own and not amqtt's: it needs no event loop, keeps what was not acknowledged over a lost connection, and
costs an edge with an external broker less memory. It speaks QoS 1 both ways, as edgecore does (source: KubeEdge
edge/pkg/eventbus).
"""

from __future__ import annotations

import logging
import random
import select
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.base import Arrival, Tap
from kubeedge_actors.drivers.broker.filters import valid_filter, valid_topic
from kubeedge_actors.drivers.broker.outbox import LAST_ID, Limits, Outbox
from kubeedge_actors.drivers.broker.packets import Decoder, Packet, ProtocolError, Publish
from kubeedge_actors.errors import BrokerError, UsageError

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

QOS = 1
KEEPALIVE = 60
"""Seconds of silence after which the broker may drop us; we speak twice as often."""
CONNECT_WITHIN = 10.0
RETRY = (0.25, 5.0)
"""Seconds before the first and at most before any further try to connect."""
AGAIN = 0.005
ERRAND = LAST_ID + 1
"""The number of our own subscriptions; nobody waits for their answers."""
CHUNK = 65_536
LIMITS = Limits(window=256, longest=10_000, bytes=16 * 1024 * 1024)


class Login(NamedTuple):
    """Who we are to the broker. An empty client id lets the broker choose one."""

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
        self._errands: deque[bytes] = deque()
        self._tap: Tap | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._bell = _Bell()
        self.connected = threading.Event()
        """Set while the broker can be reached."""

    @classmethod
    def at(cls, url: str, login: Login = NOBODY) -> ExternalBroker:
        """The broker of `tcp://[user:password@]host[:port]`, or `ssl://` with the system's authorities.

        Error: UsageError.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        secure = parts.scheme in ("ssl", "tls", "mqtts") if host else False
        if not host or not (secure or parts.scheme in ("tcp", "mqtt")):
            raise UsageError(f"an MQTT broker is given as tcp://host:port or ssl://host:port, not {url!r}")
        if parts.username is not None:
            login = Login(login.client_id, unquote(parts.username), unquote(parts.password or ""))
        return cls(host, port or (8883 if secure else 1883), login, secure_context() if secure else None)

    @property
    def alive(self) -> bool:
        """True while its thread works, connected or not."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def address(self) -> str:
        """Where the broker is, as host:port."""
        return f"{self._host}:{self._port}"

    @property
    def dropped(self) -> int:
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
        self._bell.ring()
        if self._thread is not None:
            self._thread.join()

    def listen(self, tap: Tap) -> None:
        """Offer arrivals to `tap`."""
        self._tap = tap

    def subscribe(self, filter: str) -> None:
        """Have the broker send what matches, now and after each reconnect."""
        if not valid_filter(filter):
            raise BrokerError(f"{filter!r} is not a filter of MQTT topics")
        with self._lock:
            if filter not in self._wanted:
                self._wanted.add(filter)
                self._errands.append(packets.subscribe(ERRAND, [(filter, QOS)]))
        self._bell.ring()

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe."""
        with self._lock:
            if filter in self._wanted:
                self._wanted.discard(filter)
                self._errands.append(packets.unsubscribe(ERRAND, [filter]))
        self._bell.ring()

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Say it, with QoS 1 or higher; it waits while the broker is away, as far as the limits go."""
        if not valid_topic(topic):
            raise BrokerError(f"{topic!r} is not an MQTT topic")
        with self._lock:
            if not self._outbox.push(Publish(topic, payload, max(qos, QOS), retain)) and self._outbox.dropped == 1:
                log.warning("the broker at %s does not keep up: publications are dropped from now on", self.address)
        self._bell.ring()

    def _run(self) -> None:
        delay, said = RETRY[0], ""
        while not self._closing.is_set():
            try:
                self._converse(self._connect())
                delay, said = RETRY[0], ""
            except (OSError, ProtocolError) as error:
                if str(error) != said:  # once per outage and reason
                    said = str(error)
                    log.warning("the MQTT broker at %s can not be used: %s", self.address, error)
            if self.connected.is_set():
                self.connected.clear()
                delay = RETRY[0]
            self._closing.wait(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, RETRY[1])

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), CONNECT_WITHIN)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise

    def _converse(self, peer: socket.socket) -> None:
        with peer:
            peer.sendall(packets.connect(self._login.client_id, KEEPALIVE, self._login.user, self._login.password))
            talk = _Talk(peer, self._bell)
            self._enter(talk)
            self.connected.set()
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

    def _enter(self, talk: _Talk) -> None:
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
            self._errands.clear()
            if self._wanted:
                talk.say(packets.subscribe(ERRAND, [(each, QOS) for each in sorted(self._wanted)]))
            talk.say(self._outbox.resume())

    def _take(self, talk: _Talk) -> None:
        """Handle what arrived, up to the first arrival that the tap does not take now."""
        while talk.arrived:
            packet = talk.arrived[0]
            if packet.kind == packets.PUBLISH:
                if not self._published(talk, packets.read_publish(packet)):
                    return
            else:
                self._answered(talk, packet)
            talk.arrived.popleft()

    def _published(self, talk: _Talk, message: Publish) -> bool:
        arrival = Arrival(message.topic, message.payload, message.qos, message.retain)
        if self._tap is not None and not self._tap(arrival):
            return False
        if message.qos:
            talk.say(packets.ack(packets.PUBACK if message.qos == 1 else packets.PUBREC, message.packet_id))
        return True

    def _answered(self, talk: _Talk, packet: Packet) -> None:
        kind = packet.kind
        if kind == packets.PUBACK or kind == packets.PUBCOMP:
            with self._lock:
                self._outbox.acknowledged(packets.read_ack(packet))
        elif kind == packets.PUBREC:
            with self._lock:
                talk.say(self._outbox.received(packets.read_ack(packet)))
        elif kind == packets.PUBREL:
            talk.say(packets.ack(packets.PUBCOMP, packets.read_ack(packet)))
        elif kind == packets.SUBACK and packets.REFUSED in packets.read_suback(packet)[1]:
            log.warning("the MQTT broker at %s refuses a subscription", self.address)


class _Bell:
    """Wakes a thread that waits on sockets; any thread may ring."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        return self._ours.fileno()

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._theirs.send(b"!")

    def hush(self) -> None:
        """To be called before looking for what it rang for."""
        self._ours.recv(64)
        self._rung = False

    def __del__(self) -> None:
        self._ours.close()
        self._theirs.close()


class _Talk:
    """Packets over one connected socket, without ever waiting for the other side to read."""

    def __init__(self, peer: socket.socket, bell: _Bell) -> None:
        self.arrived: deque[Packet] = deque()
        self._peer, self._bell = peer, bell
        self._decoder = Decoder()
        self._unsent = b""
        self._said: list[bytes] = []
        self._heard = self._spoke = time.monotonic()
        peer.setblocking(False)
        self._poll = select.poll()
        self._poll.register(bell.fileno(), select.POLLIN)

    def say(self, data: bytes) -> None:
        """Let it leave at the next turn."""
        if data:
            self._said.append(data)

    def turn(self) -> None:
        """Send what can be sent, wait for something to happen, read. Errors: OSError, ProtocolError."""
        self._send()
        now = time.monotonic()
        if now - self._spoke > KEEPALIVE / 2 and not self._unsent:
            self.say(packets.PING)
            self._send()
        if now - self._heard > KEEPALIVE * 1.5:
            raise ProtocolError("it is silent")
        # while an arrival waits for the tap nothing more is read: the broker keeps it
        wanted = (select.POLLOUT if self._unsent else 0) | (0 if self.arrived else select.POLLIN)
        self._poll.register(self._peer.fileno(), wanted)
        pending = 0 if self.arrived else getattr(self._peer, "pending", int)()
        wait = 0.0 if pending else AGAIN if self.arrived else KEEPALIVE / 6
        ready = dict(self._poll.poll(wait * 1000))
        if self._bell.fileno() in ready:
            self._bell.hush()
        if pending or ready.get(self._peer.fileno(), 0) & ~select.POLLOUT:
            self._read()

    def end(self) -> None:
        """Send what is left, if that needs no waiting."""
        try:
            self._send()
        except OSError as error:
            log.debug("the last words were not sent: %s", error)

    def _send(self) -> None:
        data = self._unsent + b"".join(self._said)
        self._said.clear()
        self._unsent = data
        if data:
            try:
                sent = self._peer.send(data)
            except OSError as error:
                if _is_final(error):
                    raise
                return
            self._unsent, self._spoke = data[sent:], time.monotonic()

    def _read(self) -> None:
        try:
            data = self._peer.recv(CHUNK)
        except OSError as error:
            if _is_final(error):
                raise
            return
        if not data:
            raise ConnectionResetError("it has closed the connection")
        self._heard = time.monotonic()
        self.arrived.extend(self._decoder.feed(data))


def _is_final(error: OSError) -> bool:
    """False when the socket only wants to be asked again.

    The two ways in which ssl says so are known by name: it may not be imported.
    """
    later = isinstance(error, BlockingIOError | InterruptedError)
    return not later and type(error).__name__ not in ("SSLWantReadError", "SSLWantWriteError")


def secure_context(
    authorities: str | None = None, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """A context for `tls`; files in PEM, the system's authorities when none are given.

    Error: UsageError for an unusable file.
    """
    import ssl  # an edge whose broker needs no TLS has a use for it only in its link

    try:
        context = ssl.create_default_context(cafile=authorities)
        if authorities is not None:
            # an authority made by hand seldom has the key identifiers that Python 3.13 asks for by default
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:  # SSLError is one
        raise UsageError(f"the TLS files for the MQTT broker can not be used: {error.strerror or error}") from error
    return context
