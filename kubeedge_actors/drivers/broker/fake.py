"""A broker in memory, without thread or socket: everything has happened when a call returns."""

from __future__ import annotations

from collections import deque

from kubeedge_actors.drivers.broker.base import InboundMessage, MessageHandler
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.packets import (
    PUBACK,
    PUBLISH,
    PUBREC,
    Decoder,
    Packet,
    Publish,
    checked_filter,
    checked_publish,
    encode_publish,
    encode_subscribe,
    read_publish,
)
from kubeedge_actors.drivers.broker.session import Session
from kubeedge_actors.errors import BrokerError


class FakeMqttClient:
    """A client of a FakeBroker; `heard` is what it received, in order; `acknowledged`: how many of its publications were acknowledged."""

    def __init__(self, broker: FakeBroker, name: str) -> None:
        self.heard: list[Publish] = []
        self.acknowledged = 0
        self._broker = broker
        self._session: Session = broker.core.open_session(name, True)[0]
        self._session.attach(self._receive, lambda: 1 << 30)
        self._decoder = Decoder()

    def subscribe(self, filter: str, qos: int = 0) -> None:
        """Hear what matches."""
        self._broker.handle_packet(self._session, encode_subscribe(1, [(filter, qos)]))

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 0, retain: bool = False) -> None:
        """Say something. What the handler refuses is offered again by `FakeBroker.offer_again`."""
        self._broker.handle_packet(self._session, encode_publish(topic, payload, qos, retain, 1))

    def payloads(self) -> list[bytes]:
        """What was heard, without where."""
        return [message.payload for message in self.heard]

    def _receive(self, data: bytes) -> None:
        packets = list(self._decoder.feed(data))
        self.acknowledged += sum(packet.kind in (PUBACK, PUBREC) for packet in packets)
        publications = [read_publish(packet) for packet in packets if packet.kind == PUBLISH]
        self.heard += publications
        for message in publications:
            self._session.outgoing.on_puback_or_pubcomp(message.packet_id)


class FakeBroker:
    """A Broker for tests.

    `published`: what was said from inside. `failure`: raised by `start` and `publish` while it is set. `echoes`: as an external one.
    """

    address = "127.0.0.1:0"
    echoes = False
    dropped_count = 0

    def __init__(self) -> None:
        self.core = BrokerCore()
        self.published: list[InboundMessage] = []
        self.failure: BrokerError | None = None
        self.is_alive = False
        self._held: deque[tuple[Session, Packet]] = deque()
        self._clients = 0

    @property
    def last_delivery_tag(self) -> int:
        """The delivery tag of the last message that the handler has taken."""
        return self.core.last_delivery_tag

    def client(self) -> FakeMqttClient:
        """A new client."""
        self._clients += 1
        return FakeMqttClient(self, f"client-{self._clients}")

    def unready_reason(self, patience: float = 0.0) -> str:
        """As it is alive or not."""
        return "" if self.is_alive else "it does not serve"

    def start(self) -> None:
        """It is alive from now on."""
        if self.failure is not None:
            raise self.failure
        self.is_alive = True

    def close(self) -> None:
        """It is not any more."""
        self.is_alive = False

    def set_handler(self, handler: MessageHandler, broker_id: int = 0) -> None:
        """Offer incoming messages to `handler`."""
        self.core.handler, self.core.broker_id = handler, broker_id

    def acknowledge(self, up_to: int) -> None:
        """Clients hear that everything up to this receipt is handled."""
        self.core.acknowledge(up_to)

    def subscribe(self, filter: str) -> None:
        """Offer what matches."""
        checked_filter(filter)
        self.core.set_handler_filter(filter, True)

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe. Error: BrokerError for an invalid filter."""
        checked_filter(filter)
        self.core.set_handler_filter(filter, False)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Say it to the clients."""
        message = checked_publish(topic, payload, qos, retain)
        if self.failure is not None:
            raise self.failure
        self.published.append(InboundMessage(topic, payload, qos, retain))
        self.core.publish(message)
        self.core.flush()
        if self.echoes and self.core.handler is not None:
            self.core.handler(self.published[-1])

    def handle_packet(self, session: Session, data: bytes) -> None:
        """A client sends packets."""
        self._held += [(session, packet) for packet in Decoder().feed(data)]
        self.offer_again()

    def offer_again(self) -> None:
        """Offer what the handler refused, as the real ones do after a moment."""
        while self._held:
            if not self.core.handle_packet(*self._held[0]):
                return
            session, _ = self._held.popleft()
            while self.core.send_retained(session):
                continue
            self.core.flush()
