"""Who has subscribed to what, and which retained messages a new subscription gets. Pure.

Retained messages are sent a slice at a time (`send_retained`), so that one who subscribes to many holds up nobody else, and only
while the socket of the client takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.drivers.broker.session import Session
from kubeedge_actors.drivers.broker.topics.retained import RetainedMessages
from kubeedge_actors.drivers.broker.topics.subscription_table import SubscriptionTable
from kubeedge_actors.mqtt_topics import valid_filter

SUBSCRIPTIONS = 1_000
"""Of one client."""
SUBSCRIBED_LEVELS = 20_000
"""Of all filters of one client together: what a publication costs depends on them."""
SLICE = 100
"""Steps in the tree of retained messages that are taken at once: a tenth of a millisecond, so that the pause after it is the longer part."""

Queue = Callable[[Session, Publish, bool], None]
"""Queue a publication of QoS 1 or 2 for a session, beyond its limits or not."""


class Subscriptions:
    """`send` says bytes to a client, `queue` a publication of QoS 1 or 2."""

    def __init__(self, send: Callable[[Session, bytes], None], queue: Queue) -> None:
        self.retained = RetainedMessages()
        self._table: SubscriptionTable[Session] = SubscriptionTable()
        self._send, self._queue = send, queue

    def match(self, topic: str) -> dict[Session, int]:
        """Who gets a publication on `topic`, with the QoS. Not to be changed."""
        return self._table.match(topic)

    def restore(self, session: Session, filter: str, qos: int) -> None:
        """A stored subscription."""
        self._table.add(filter, session, qos)
        session.filters.add(filter)
        session.filter_levels += filter.count("/") + 1

    def drop(self, session: Session) -> None:
        """The session has ended."""
        for filter in list(session.filters):
            self._discard(session, filter)

    def subscribe(self, session: Session, packet_id: int, filters: Sequence[tuple[str, int]]) -> None:
        """Subscribe and answer. What is retained is left to `send_retained`."""
        codes = [self._grant(session, filter, qos) for filter, qos in filters]
        self._send(session, packets.encode_suback(packet_id, codes))
        granted = [
            (filter, code) for (filter, _), code in zip(filters, codes, strict=True) if code != packets.SUBACK_FAILURE
        ]
        session.retained_delivery = self._deliver(session, granted)

    def unsubscribe(self, session: Session, packet_id: int, filters: Sequence[str]) -> None:
        """Unsubscribe and answer."""
        for filter in filters:
            if filter in session.filters:
                self._discard(session, filter)
        self._send(session, packets.encode_ack(packets.UNSUBACK, packet_id))

    def send_retained(self, session: Session, most: int = SLICE) -> int:
        """Send the next slice of what is retained and a subscription of the client asked for: the steps that were taken, at most
        so many; 0 while its socket is full. `session.retained_delivery` is None afterwards when there is nothing more.
        """
        steps = 0
        for done in session.retained_delivery or ():
            if not done:
                return steps
            steps += 1
            if steps == most:
                return steps
        session.retained_delivery = None
        return steps

    def _grant(self, session: Session, filter: str, qos: int) -> int:
        """Subscribe; the return code."""
        new, levels = filter not in session.filters, filter.count("/") + 1
        full = len(session.filters) >= SUBSCRIPTIONS or session.filter_levels + levels > SUBSCRIBED_LEVELS
        if (new and full) or not valid_filter(filter) or not session.permissions.may_subscribe(filter):
            return packets.SUBACK_FAILURE
        self._table.add(filter, session, qos)
        if new:
            session.filters.add(filter)
            session.filter_levels += levels
        session.recorder.on_subscribed(filter, qos)
        return qos

    def _discard(self, session: Session, filter: str) -> None:
        self._table.discard(filter, session)
        session.filters.discard(filter)
        session.filter_levels -= filter.count("/") + 1
        session.recorder.on_subscribed(filter, None)

    def _deliver(self, session: Session, granted: Sequence[tuple[str, int]]) -> Iterator[bool]:
        """Retained messages go to a new subscription, marked as such (3.3.1.3): all of them, if its queue was not full before. Whether
        a step was taken; it is not while the socket is full.
        """
        for filter, qos in granted:
            had_room, matching = session.outgoing.fits(0), self.retained.matching(filter)
            while True:
                while session.free_bytes is not None and session.free_bytes() <= session.unsent_bytes:
                    yield False
                try:
                    message = next(matching)
                except StopIteration:
                    break
                if message is not None and session.permissions.may_read(message.topic):
                    self._send_one(session, message, min(message.qos, qos), had_room)
                yield True

    def _send_one(self, session: Session, message: Publish, qos: int, had_room: bool) -> None:
        if qos:
            beyond = had_room and session.outgoing.fits_all(len(message.payload))
            self._queue(session, Publish(message.topic, message.payload, qos, True), beyond)
        else:
            self._send(session, packets.encode_publish(message.topic, message.payload, 0, True))
