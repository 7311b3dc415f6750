"""Protocol of the MQTT broker of an edge node, as EventBus uses it.

Contract of every Broker
* What a client publishes on a topic that matches a subscribed filter comes to the tap once, however many filters match;
  in the order in which the client said it. `$` topics work like any other, but no wildcard in the first level matches
  them.
* The tap is called from a thread of the driver and must not wait. When it answers False the message is not lost and not
  acknowledged: it is offered again, and meanwhile nothing more is taken from that client.
* With `source`, an arrival of QoS 1 or 2 is acknowledged only after `settle` was called with its receipt or a later one, so
  that whoever takes it can first bring it to where no crash reaches it. What was not acknowledged is said again by its
  client, also to the next process.
* `publish` is thread-safe and never blocks on a client; if the broker's thread is far behind it blocks for a bounded
  time, then raises BrokerError; the order of calls from one thread is the order on the wire.
* A subscription outlives a lost connection, and a `close` followed by `start`.
* `start` may be called again at any time: it does nothing while the broker works and mends it when it does not.
* The embedded broker acknowledges a publication of QoS 1 or 2 of a client when there is room for it in the queue of each
  connected subscriber, or the time for that is over (`backpressure.py`); `publish` never waits for that: what does not fit
  is lost for that subscriber, and counted.
* BrokerError with one plain sentence for whatever can not be done.

The embedded broker does not offer to the tap what `publish` said; an external one does, when a subscribed filter
matches it (`echoes`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class InboundMessage(NamedTuple):
    """A publication of a client. `qos` and `retain` are the publisher's.

    `delivery_tag`: what to `settle` at the broker of this `broker_id`; 0 when nobody waits for it.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    delivery_tag: int = 0
    broker_id: int = 0


@dataclass
class Counters:
    """What a broker in this process counts since its start.

    `dropped`: for clients that do not keep up, or are away. `forgotten`: sessions of clients that were away. `denied`: publications that
    the access list does not allow.
    """

    received: int = 0
    sent: int = 0
    dropped: int = 0
    forgotten: int = 0
    denied: int = 0


MessageHandler = Callable[[InboundMessage], bool]
"""Where arrivals go; False means: not now, offer it again."""


class Broker(Protocol):
    """One MQTT broker."""

    @property
    def is_alive(self) -> bool:
        """False once its thread has ended for whatever reason; `start` starts it again."""

    @property
    def address(self) -> str:
        """Its address as host:port."""

    @property
    def echoes(self) -> bool:
        """Whether the handler is offered what `publish` said, when a subscribed filter matches it."""

    @property
    def last_delivery_tag(self) -> int:
        """The delivery tag of the last message that the handler has taken."""

    @property
    def dropped_count(self) -> int:
        """How many messages and sessions were dropped over limits."""

    def unready_reason(self, patience: float = 0.0) -> str:
        """Why it can not be used now, empty when it can. Waits up to `patience` seconds for the first attempt to connect."""

    def start(self) -> None:
        """Serve, or connect. Error: BrokerError when the port can not be had."""

    def close(self) -> None:
        """End it and wait for its thread."""

    def set_handler(self, handler: MessageHandler, broker_id: int = 0) -> None:
        """Offer incoming messages to this handler from now on, instead of the one before, marked with `broker_id`."""

    def acknowledge(self, up_to: int) -> None:
        """Everything up to this delivery tag is handled: publishers may be acknowledged."""

    def subscribe(self, filter: str) -> None:
        """Offer messages that match to the handler. Error: BrokerError for an invalid filter."""

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe. Error: BrokerError for an invalid filter."""

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Publish to all clients that subscribed.

        Error: BrokerError for what MQTT can not say (`packets.checked_publish`), before anything is kept or queued; for a
        broker that does not run; when too much waits.
        """
