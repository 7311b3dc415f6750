"""A broker's mind: sessions, subscriptions, retained messages, and what each packet of a client leads to. Pure: bytes
in, bytes out.

Whoever owns the sockets calls `take` for each packet, and `flush` when it has no more for now: all that was said
meanwhile to one client leaves as one piece. Not thread-safe; everything is called from the broker's one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.base import Arrival, Tap
from kubeedge_actors.drivers.broker.filters import FilterTable, valid_filter
from kubeedge_actors.drivers.broker.outbox import LIMITS, Limits, Outbox
from kubeedge_actors.drivers.broker.packets import Packet, ProtocolError, Publish

Send = Callable[[bytes], None]
Room = Callable[[], int]

REMEMBERED = 1_000
"""Clients that are away and whose sessions are kept; the one that left first is forgotten for a further one."""
_RETAINED = 10_000


@dataclass
class Counters:
    """What happened since the start.

    `dropped`: for clients that do not keep up. `refused`: retained messages over the limit. `forgotten`: sessions of
    clients that were away.
    """

    received: int = 0
    sent: int = 0
    dropped: int = 0
    refused: int = 0
    forgotten: int = 0


class Session:
    """What is remembered of one client. Connected while it has a `send`."""

    __slots__ = ("clean", "client_id", "outbox", "owed", "pending", "receiving", "room", "send")

    def __init__(self, client_id: str, clean: bool, limits: Limits) -> None:
        self.client_id = client_id
        self.clean = clean
        self.outbox = Outbox(limits)
        self.receiving: set[int] = set()
        self.pending: list[bytes] = []
        self.owed = 0
        self.send: Send | None = None
        self.room: Room | None = None

    def attach(self, send: Send, room: Room) -> None:
        """The client is here; `room()` says how many bytes more it may be sent before too much waits for it."""
        self.send, self.room = send, room

    def detach(self) -> None:
        """The client is gone."""
        self.send = self.room = None
        self.pending, self.owed = [], 0


class Exchange:
    """Who hears what."""

    def __init__(self, limits: Limits = LIMITS, remembered: int = REMEMBERED) -> None:
        self.counters = Counters()
        self.sessions: dict[str, Session] = {}
        self.tap: Tap | None = None
        self._limits, self._remembered = limits, remembered
        self._absent: dict[Session, None] = {}
        self._subscribers: FilterTable[Session] = FilterTable()
        self._tapped: FilterTable[None] = FilterTable()
        self._retained: dict[str, Publish] = {}
        self._touched: dict[Session, None] = {}

    def open(self, client_id: str, clean: bool) -> tuple[Session, bool]:
        """The session of a client that connects, and whether it was remembered."""
        known = self.sessions.get(client_id)
        if known is not None and not clean and not known.clean:
            self._absent.pop(known, None)
            return known, True
        if known is not None:
            self.forget(known)
        session = self.sessions[client_id] = Session(client_id, clean, self._limits)
        return session, False

    def leave(self, session: Session) -> None:
        """The client is gone. What is not clean is remembered, but not more than so many of them."""
        session.detach()
        if session.clean:
            self.forget(session)
            return
        self._absent[session] = None
        if len(self._absent) > self._remembered:
            self.counters.forgotten += 1
            self.forget(next(iter(self._absent)))

    def forget(self, session: Session) -> None:
        """The session and its subscriptions are gone."""
        self._absent.pop(session, None)
        for filter in list(self._subscribers.filters(session)):
            self._subscribers.discard(filter, session)
        self._touched.pop(session, None)
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]

    def listen(self, filter: str, wanted: bool) -> None:
        """Whether publications that match are offered to the tap."""
        if wanted:
            self._tapped.add(filter, None, 2)
        else:
            self._tapped.discard(filter, None)

    def take(self, session: Session, packet: Packet) -> bool:
        """Do what a client's packet asks. False: not now, offer the same packet again.

        Error: ProtocolError; the connection has to end.
        """
        kind = packet.kind
        if kind == packets.PUBLISH:
            return self._published(session, packets.read_publish(packet))
        if kind == packets.PUBACK or kind == packets.PUBCOMP:
            session.outbox.acknowledged(packets.read_ack(packet))
            self._say(session, session.outbox.due())
        elif kind == packets.PUBREC:
            self._say(session, session.outbox.received(packets.read_ack(packet)))
        elif kind == packets.PUBREL:
            packet_id = packets.read_ack(packet)
            session.receiving.discard(packet_id)
            self._say(session, packets.ack(packets.PUBCOMP, packet_id))
        elif kind == packets.SUBSCRIBE:
            self._subscribed(session, *packets.read_subscribe(packet))
        elif kind == packets.UNSUBSCRIBE:
            self._unsubscribed(session, *packets.read_unsubscribe(packet))
        elif kind == packets.PINGREQ:
            self._say(session, packets.PONG)
        else:
            raise ProtocolError(f"a packet of type {kind} from a client that is connected")
        return True

    def greet(self, session: Session) -> None:
        """A client is back: what it missed is due."""
        self._say(session, session.outbox.resume())

    def say(self, message: Publish) -> bool:
        """A client says this, or had it said for when it is gone. False: not now, offer it again."""
        tap = self.tap if self._tapped.find(message.topic) else None
        if tap is not None and not tap(Arrival(message.topic, message.payload, message.qos, message.retain)):
            return False
        self.counters.received += 1
        self.publish(message)
        return True

    def publish(self, message: Publish) -> None:
        """Say it to all who subscribed, and keep it if it is to be retained."""
        if message.retain:
            self._retain(message)
        as_is = b""
        for session, granted in self._subscribers.find(message.topic).items():
            qos = min(message.qos, granted)
            if qos:
                self._queue(session, Publish(message.topic, message.payload, qos))
            elif session.room is not None and session.room() > session.owed:
                as_is = as_is or packets.publish(message.topic, message.payload)
                self._say(session, as_is)
                self.counters.sent += 1
            elif session.room is not None:
                self.counters.dropped += 1

    def flush(self) -> None:
        """Hand over what was said since the last time."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for session in touched:
            said, session.pending, session.owed = b"".join(session.pending), [], 0
            if session.send is not None and said:
                session.send(said)

    def _say(self, session: Session, said: bytes) -> None:
        if said and session.send is not None:
            session.pending.append(said)
            session.owed += len(said)
            self._touched[session] = None

    def _queue(self, session: Session, message: Publish) -> None:
        if session.outbox.push(message):
            self.counters.sent += 1
        else:
            self.counters.dropped += 1
        if session.send is not None:
            self._say(session, session.outbox.due())

    def _published(self, session: Session, message: Publish) -> bool:
        if message.qos == 2 and message.packet_id in session.receiving:
            self._say(session, packets.ack(packets.PUBREC, message.packet_id))
            return True
        if not self.say(message):
            return False
        if message.qos == 2:
            session.receiving.add(message.packet_id)
            self._say(session, packets.ack(packets.PUBREC, message.packet_id))
        elif message.qos == 1:
            self._say(session, packets.ack(packets.PUBACK, message.packet_id))
        return True

    def _retain(self, message: Publish) -> None:
        if not message.payload:
            self._retained.pop(message.topic, None)
        elif message.topic in self._retained or len(self._retained) < _RETAINED:
            self._retained[message.topic] = message
        else:
            self.counters.refused += 1

    def _subscribed(self, session: Session, packet_id: int, filters: list[tuple[str, int]]) -> None:
        codes = [qos if valid_filter(filter) else packets.REFUSED for filter, qos in filters]
        self._say(session, packets.suback(packet_id, codes))
        for (filter, qos), code in zip(filters, codes, strict=True):
            if code != packets.REFUSED:
                self._subscribers.add(filter, session, qos)
                self._remind(session, filter, qos)

    def _remind(self, session: Session, filter: str, granted: int) -> None:
        """Retained messages go to a new subscription, marked as such (3.3.1.3)."""
        mine: FilterTable[None] = FilterTable()
        mine.add(filter, None, granted)
        for topic, message in self._retained.items():
            if not mine.find(topic):
                continue
            qos = min(message.qos, granted)
            if qos:
                self._queue(session, Publish(topic, message.payload, qos, True))
            else:
                self._say(session, packets.publish(topic, message.payload, 0, True))

    def _unsubscribed(self, session: Session, packet_id: int, filters: list[str]) -> None:
        for filter in filters:
            self._subscribers.discard(filter, session)
        self._say(session, packets.ack(packets.UNSUBACK, packet_id))
