"""A broker's mind: sessions, subscriptions, retained messages, and what each packet of a client leads to. Pure: bytes
in, bytes out.

Whoever owns the sockets calls `take` for each packet, and `flush` when it has no more for now: all that was said
meanwhile to one client leaves as one piece, once what it rests upon is committed. Not thread-safe; everything is called
from the broker's one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.acl import UNLIMITED, Client, Rights
from kubeedge_actors.drivers.broker.base import Arrival, Tap
from kubeedge_actors.drivers.broker.filters import FilterTable
from kubeedge_actors.drivers.broker.journal import FORGETFUL, Journal, Memory, Notes
from kubeedge_actors.drivers.broker.outbox import LIMITS, Limits, Pool
from kubeedge_actors.drivers.broker.packets import Packet, ProtocolError, Publish
from kubeedge_actors.drivers.broker.retained import Retained
from kubeedge_actors.drivers.broker.session import AT_ONCE, Condition, Send, Session
from kubeedge_actors.mqtt_topics import valid_filter

REMEMBERED = 1_000
"""Clients that are away and whose sessions are kept; the one that left first is forgotten for a further one."""
SUBSCRIPTIONS = 1_000
"""Of one client."""
UNRELEASED = 1_000
"""Publications of QoS 2 that one client has said and not released."""


@dataclass
class Counters:
    """What happened since the start.

    `dropped`: for clients that do not keep up. `forgotten`: sessions of clients that were away. `denied`: publications that
    the access list does not allow.
    """

    received: int = 0
    sent: int = 0
    dropped: int = 0
    forgotten: int = 0
    denied: int = 0


class Exchange:
    """Who hears what. `journal`: notes what has to be remembered over the end of the process; nothing is without.

    `rights`: what a client may do.
    """

    def __init__(
        self,
        limits: Limits = LIMITS,
        remembered: int = REMEMBERED,
        journal: Journal | None = None,
        rights: Callable[[Client], Rights] = lambda _: UNLIMITED,
    ) -> None:
        self.counters = Counters()
        self.sessions: dict[str, Session] = {}
        self.tap: Tap | None = None
        self.source = 0
        self._limits, self._remembered, self._journal, self._pool = limits, remembered, journal, Pool()
        self._rights = rights
        self._absent: dict[Session, None] = {}
        self._subscribers: FilterTable[Session] = FilterTable()
        self._tapped: FilterTable[None] = FilterTable()
        self._retained = Retained()
        self._touched: dict[Session, None] = {}
        self._owing: dict[Session, None] = {}
        # what was said because of a turn that is not committed, with the connection it was said on
        self._held: dict[int, list[tuple[Session, Send, bytes]]] = {}
        self._offered = self._handled = 0

    @property
    def offered(self) -> int:
        """The last receipt that was given out."""
        return self._offered

    @property
    def lost(self) -> int:
        """Messages and sessions that went because of a limit."""
        return self.counters.dropped + self.counters.forgotten + self._retained.refused

    # --- sessions -----------------------------------------------------------------------------------------------------

    def recall(self, memory: Memory) -> None:
        """Take up what was remembered; before anything else."""
        for client in memory.clients:
            self._absent[self._make(client, clean=False)] = None
        for client_id, filter, qos in memory.subscriptions:
            session = self.sessions[client_id]
            self._subscribers.add(filter, session, qos)
            session.filters.add(filter)
        for number, row in memory.messages:
            self.sessions[row.client_id].outbox.restore(number, row)
        for client_id, packet_id in memory.received:
            self.sessions[client_id].receiving[packet_id] = None
        for message in memory.retained:
            self._retained.keep(message)
        if self._journal is not None and memory.messages:
            self._journal.start_at(memory.messages[-1][0])

    def open(self, client_id: str, clean: bool, user: str | None = None) -> tuple[Session, bool]:
        """The session of a client that connects, and whether it was remembered: not for another user."""
        client = Client(client_id, user)
        known = self.sessions.get(client_id)
        if known is not None and not clean and not known.clean and known.client == client:
            self._absent.pop(known, None)
            return known, True
        if known is not None:
            self.forget(known)
        session = self._make(client, clean)
        session.notes.opened()
        return session, False

    def _make(self, client: Client, clean: bool) -> Session:
        notes = FORGETFUL if clean or self._journal is None else Notes(self._journal, client)
        session = Session(client, clean, self._limits, notes, self._pool)
        session.rights = self._rights(client)
        self.sessions[client.client_id] = session
        return session

    def leave(self, session: Session) -> None:
        """The client is gone. What is not clean is remembered, but not more than so many of them."""
        session.detach()
        self._owing.pop(session, None)
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
        for filter in session.filters:
            self._subscribers.discard(filter, session)
            session.notes.subscribed(filter, None)
        session.filters.clear()
        for packet_id in session.receiving:
            session.notes.received(packet_id, False)
        session.outbox.clear()
        session.notes.closed()
        self._touched.pop(session, None)
        if self.sessions.get(session.client.client_id) is session:
            del self.sessions[session.client.client_id]

    def listen(self, filter: str, wanted: bool) -> None:
        """Whether publications that match are offered to the tap."""
        if wanted:
            self._tapped.add(filter, None, 2)
        else:
            self._tapped.discard(filter, None)

    # --- packets ------------------------------------------------------------------------------------------------------

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
            if packet_id in session.receiving:
                del session.receiving[packet_id]
                session.notes.received(packet_id, False)
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

    def greet(self, session: Session, *, present: bool) -> None:
        """A client is here, or back: then what it missed is due."""
        self._say(session, packets.connack(0, present=present))
        self._say(session, session.outbox.resume())

    def say(self, message: Publish) -> Condition | None:
        """A client says this, or had it said for when it is gone; when it is in good hands. None: not now, offer it again."""
        journal = self._journal
        if message.qos and journal is not None and journal.full:
            return None
        receipt = self._offer(message)
        if receipt is None:
            return None
        self.counters.received += 1
        noted = journal.noted if journal is not None else 0
        self.publish(message)
        if journal is None or not message.qos or journal.noted == noted:
            return Condition(0, receipt)
        return Condition(journal.turn, receipt)

    def _offer(self, message: Publish) -> int | None:
        """Offer it to whoever listens inside; the receipt to wait for, None when it can not be taken now."""
        if self.tap is None or not self._tapped.find(message.topic):
            return 0
        receipt = self._offered + 1 if message.qos and self.source else 0
        arrival = Arrival(message.topic, message.payload, message.qos, message.retain, receipt, self.source)
        if not self.tap(arrival):
            return None
        self._offered = receipt or self._offered
        return receipt

    def _published(self, session: Session, message: Publish) -> bool:
        if not session.rights.may_write(message.topic):
            # MQTT 3.1.1 has no way to say no: it is acknowledged, and goes nowhere (3.3.5)
            self.counters.denied += 1
            condition: Condition | None = AT_ONCE
        elif message.qos == 2 and message.packet_id in session.receiving:
            condition = session.receiving[message.packet_id]
            if condition is None:
                # said to a process before this one, which may have ended before whoever listens inside had handled it
                receipt = self._offer(message)
                condition = None if receipt is None else Condition(0, receipt)
        else:
            if message.qos == 2 and len(session.receiving) >= UNRELEASED:
                raise ProtocolError(f"more than {UNRELEASED} publications that it does not release")
            condition = self.say(message)
        if condition is None:
            return False
        if message.qos == 2:
            self._acknowledge(session, packets.PUBREC, message.packet_id, self._receive(session, message, condition))
        elif message.qos == 1:
            self._acknowledge(session, packets.PUBACK, message.packet_id, condition)
        return True

    def _receive(self, session: Session, message: Publish, condition: Condition) -> Condition:
        """Know it when it is said again; what its PUBREC waits for."""
        known = message.packet_id in session.receiving
        if not known:
            session.notes.received(message.packet_id, True)
            condition = Condition(max(condition.turn, session.notes.due), condition.receipt)
        session.receiving[message.packet_id] = condition
        return condition

    # --- out ----------------------------------------------------------------------------------------------------------

    def publish(self, message: Publish) -> None:
        """Say it to all who subscribed, and keep it if it is to be retained."""
        if message.retain:
            self._retain(message)
        as_is = b""
        for session, granted in self._subscribers.find(message.topic).items():
            qos = min(message.qos, granted)
            if not session.rights.may_read(message.topic):
                continue
            if qos:
                self._queue(session, Publish(message.topic, message.payload, qos))
            elif session.room is not None and session.room() > session.owed:
                as_is = as_is or packets.publish(message.topic, message.payload)
                self._say(session, as_is)
                self.counters.sent += 1
            elif session.room is not None:
                self.counters.dropped += 1

    def flush(self) -> None:
        """Hand over what was noted and said since the last time."""
        if self._journal is not None:
            self._journal.end_turn()
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for session in touched:
            said, session.pending = b"".join(session.pending), []
            if session.send is None or not said:
                continue
            if session.notes.due > self._committed:
                self._held.setdefault(session.notes.due, []).append((session, session.send, said))
            else:
                session.owed -= len(said)
                session.send(said)

    def committed(self, turn: int) -> None:
        """Everything up to this turn is committed: who waited for it is told."""
        if self._journal is not None:
            self._journal.committed = turn
        # a session's own order is kept: what it waits for only grows
        for each in sorted(each for each in self._held if each <= turn):
            for session, send, said in self._held.pop(each):
                if session.send == send:
                    session.owed -= len(said)
                    send(said)
        self._pay()

    def settle(self, receipt: int) -> None:
        """Whoever listens inside has handled everything up to this receipt."""
        self._handled = max(receipt, self._handled)
        self._pay()

    @property
    def _committed(self) -> int:
        return self._journal.committed if self._journal is not None else 0

    def _acknowledge(self, session: Session, kind: int, packet_id: int, condition: Condition) -> None:
        """Acknowledge it in its turn: not before those that came before it."""
        ack = packets.ack(kind, packet_id)
        if not session.owing and self._holds(condition):
            self._say(session, ack)
        else:
            session.owing.append((ack, condition))
            self._owing[session] = None

    def _holds(self, condition: Condition) -> bool:
        return condition.turn <= self._committed and condition.receipt <= self._handled

    def _pay(self) -> None:
        for session in list(self._owing):
            owing = session.owing
            while owing and self._holds(owing[0][1]):
                self._say(session, owing.popleft()[0])
            if not owing:
                del self._owing[session]
        self.flush()

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

    # --- retained, subscriptions --------------------------------------------------------------------------------------

    def _retain(self, message: Publish) -> None:
        if self._retained.keep(message) and self._journal is not None:
            self._journal.retain(message)

    def _subscribed(self, session: Session, packet_id: int, filters: list[tuple[str, int]]) -> None:
        codes = [self._grant(session, filter, qos) for filter, qos in filters]
        self._say(session, packets.suback(packet_id, codes))
        for (filter, _), code in zip(filters, codes, strict=True):
            if code != packets.REFUSED:
                self._remind(session, filter, code)

    def _grant(self, session: Session, filter: str, qos: int) -> int:
        """Subscribe; the return code."""
        full = len(session.filters) >= SUBSCRIPTIONS and filter not in session.filters
        if full or not valid_filter(filter) or not session.rights.may_subscribe(filter):
            return packets.REFUSED
        self._subscribers.add(filter, session, qos)
        session.filters.add(filter)
        session.notes.subscribed(filter, qos)
        return qos

    def _remind(self, session: Session, filter: str, granted: int) -> None:
        """Retained messages go to a new subscription, marked as such (3.3.1.3)."""
        for message in self._retained.matching(filter):
            if not session.rights.may_read(message.topic):
                continue
            qos = min(message.qos, granted)
            if qos:
                self._queue(session, Publish(message.topic, message.payload, qos, True))
            elif session.room is not None and session.room() + self._limits.bytes > session.owed:
                self._say(session, packets.publish(message.topic, message.payload, 0, True))
            else:  # one packet may ask for all of them many times
                self.counters.dropped += 1

    def _unsubscribed(self, session: Session, packet_id: int, filters: list[str]) -> None:
        for filter in filters:
            if filter in session.filters:
                session.filters.discard(filter)
                self._subscribers.discard(filter, session)
                session.notes.subscribed(filter, None)
        self._say(session, packets.ack(packets.UNSUBACK, packet_id))
