"""Brokers of every sort for the tests, and stock clients (paho) to try them with."""

from __future__ import annotations

import queue
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.base import InboundMessage
from tests.support.plugins.ports import free_port
from tests.support.processes import child
from tests.support.waiting import PATIENCE, eventually

MARKER = "marker"


def leave(client: Client) -> None:
    """Say goodbye, end the client's thread and close its sockets: paho closes those by which it wakes its thread only when
    the client is collected.
    """
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()


class Paho:
    """A paho client. `messages` is what it received."""

    def __init__(self, port: int, client_id: str = "", *, clean: bool = True, keepalive: int = 60, **more: Any) -> None:
        self.messages: queue.Queue[MQTTMessage] = queue.Queue()
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean, **more)
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self._events.put(("subscribed", codes))
        self.client.on_unsubscribe = lambda *_: self._events.put(("unsubscribed", None))
        self.client.on_connect = lambda _c, _u, flags, reason, _p: self._events.put(("connected", (flags, reason)))
        self.client.on_disconnect = lambda *_: self._events.put(("gone", None))
        self._port, self._keepalive = port, keepalive

    def connect(self) -> Any:
        """Connect; the flags and the reason of the CONNACK."""
        self.client.connect("127.0.0.1", self._port, self._keepalive)
        self.client.loop_start()
        return self.wait("connected")

    def wait(self, event: str) -> Any:
        """Wait for an event of this name; what came with it."""
        while True:
            name, value = self._events.get(timeout=PATIENCE)
            if name == event:
                return value

    def subscribe(self, filter: str, qos: int = 0) -> int:
        """Subscribe; the return code."""
        self.client.subscribe(filter, qos)
        return int(self.wait("subscribed")[0].value)

    def unsubscribe(self, filter: str) -> None:
        """Unsubscribe, and wait for the answer."""
        self.client.unsubscribe(filter)
        self.wait("unsubscribed")

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 0, retain: bool = False) -> None:
        """Publish; at QoS 1 and 2 wait until it is acknowledged."""
        published = self.client.publish(topic, payload, qos, retain)
        published.wait_for_publish(PATIENCE)
        assert published.is_published()

    def hear(self) -> MQTTMessage:
        """The next message."""
        return self.messages.get(timeout=PATIENCE)

    def hear_soon(self, topic: str, seconds: float = 0.5) -> bytes | None:
        """The payload of the next message on this topic, None when there is none within `seconds`."""
        try:
            while (message := self.messages.get(timeout=seconds)).topic != topic:
                continue
        except queue.Empty:
            return None
        return bytes(message.payload)

    def gone(self) -> int:
        """How often the connection was lost, as far as nobody has waited for it."""
        return sum(name == "gone" for name, _ in list(self._events.queue))

    def hear_payloads(self, count: int) -> list[bytes]:
        """The payloads of the next messages."""
        return [bytes(self.hear().payload) for _ in range(count)]

    def silent(self) -> bool:
        """Whether nothing waits to be heard: asked after a message of our own has come back."""
        return self.messages.empty()

    def vanish(self) -> None:
        """Break the connection without a word."""
        connection = self.client.socket()
        assert isinstance(connection, socket.socket)
        self.client.loop_stop()
        connection.close()
        leave(self.client)

    def disconnect(self) -> None:
        """Say goodbye."""
        leave(self.client)


@contextmanager
def paho(port: int, client_id: str = "", **more: Any) -> Iterator[Paho]:
    """A connected client."""
    client = Paho(port, client_id, **more)
    client.connect()
    try:
        yield client
    finally:
        client.disconnect()


class Raw:
    """A client that says and hears packets; its CONNECT was accepted. Nothing is answered by itself.

    `present`: the broker remembered its session.
    """

    def __init__(self, port: int, client_id: str = "raw", **hello: Any) -> None:
        self._decoder, self._packets = packets.Decoder(), deque[packets.Packet]()
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.send(connect(client_id, **hello))
        answer = self.next()
        assert packets.read_connack(answer) == ""
        self.present = bool(answer.body[0])

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Say it."""
        self._socket.sendall(data)

    def next(self) -> packets.Packet:
        """The next packet."""
        while not self._packets:
            data = self._socket.recv(65_536)
            assert data, "the broker has closed the connection"
            self._packets.extend(self._decoder.feed(data))
        return self._packets.popleft()

    def subscribe(self, filter: str, qos: int) -> None:
        """Subscribe, and wait for the answer."""
        self.send(packets.encode_subscribe(1, [(filter, qos)]))
        assert packets.read_suback(self.next()) == (1, [qos])

    def closed(self) -> bool:
        """Wait for the end of the connection."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True


def connect(
    client_id: str,
    *,
    level: int = 4,
    clean: bool = True,
    keepalive: int = 0,
    will: tuple[str, bytes] | None = None,
    user: str | None = None,
    password: str | None = None,
) -> bytes:
    """A CONNECT packet with everything in it."""
    flags = clean << 1 | (will is not None) << 2 | (user is not None) << 7 | (password is not None) << 6
    texts = [client_id.encode()]
    if will is not None:
        texts += [will[0].encode(), will[1]]
    texts += [text.encode() for text in (user, password) if text is not None]
    body = b"\0\4MQTT" + bytes((level, flags)) + keepalive.to_bytes(2, "big")
    body += b"".join(len(text).to_bytes(2, "big") + text for text in texts)
    return bytes((0x10, len(body))) + body


def connack(port: int, client_id: str = "c", **hello: Any) -> int:
    """The code with which a CONNECT is answered."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.sendall(connect(client_id, **hello))
        return peer.recv(100)[3]


class MqttListener:
    """A tap that keeps what it was offered; it takes nothing while `open` is False. `marked`.

    A message on MARKER came.
    """

    def __init__(self) -> None:
        self.open = True
        self.marked = threading.Event()
        self.arrivals: queue.Queue[InboundMessage] = queue.Queue()

    def __call__(self, message: InboundMessage) -> bool:
        if message.topic == MARKER:
            self.marked.set()
        elif self.open:
            self.arrivals.put(message)
        return self.open

    def next(self) -> InboundMessage:
        """The next arrival."""
        return self.arrivals.get(timeout=PATIENCE)

    def take(self, count: int) -> list[InboundMessage]:
        """The next arrivals."""
        return [self.next() for _ in range(count)]


@contextmanager
def mosquitto(folder: Path, *settings: str, port: int = 0) -> Iterator[int]:
    """A mosquitto of our own; its port. For tests that are marked so."""
    port = port or free_port()
    config = folder / "mosquitto.conf"
    lines = (
        f"listener {port} 127.0.0.1",
        "set_tcp_nodelay true",
        "user root",
        *(settings or ("allow_anonymous true",)),
    )
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with child(("mosquitto", "-c", str(config)), stderr=subprocess.DEVNULL) as process:
        eventually(lambda: answers(port), "mosquitto listens")
        yield port
        process.terminate()
        process.wait(PATIENCE)


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
