"""The state machine of a broker: sessions, subscriptions, retained messages, packets. Pure: bytes in, bytes out.

Whoever owns the sockets calls `take` for each packet, and `flush` when it has no more for now: `flush` writes a
client's packets as one buffer, after the state that they depend on is committed. Not thread-safe; everything is called
from the broker's one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.acl import ALL_PERMISSIONS, ClientIdentity, Permissions
from kubeedge_actors.drivers.broker.backpressure import Backpressure
from kubeedge_actors.drivers.broker.base import Counters, InboundMessage, MessageHandler
from kubeedge_actors.drivers.broker.outgoing import LIMITS, ByteBudget, Limits, Overflow
from kubeedge_actors.drivers.broker.packets import Packet, ProtocolError, Publish
from kubeedge_actors.drivers.broker.session import NO_CONDITION, AckCondition, Session, SessionOutput
from kubeedge_actors.drivers.broker.subscriptions import Subscriptions
from kubeedge_actors.drivers.broker.topics.subscription_table import SubscriptionTable
from kubeedge_actors.drivers.broker.unit_of_work import NULL_RECORDER, SessionRecorder, StoredState, UnitOfWork

REMEMBERED = 1_000
"""Clients that are away and whose sessions are kept; the one that left first is forgotten for a further one."""
PUBLISH_WORK, UNACKNOWLEDGED_WORK = 10, 25
"""What to take a publication counts, beside what its subscribers do, in units of `BrokerCore.work`; one of QoS 0 more than it costs, for its client waits for
nothing.
"""
FILTER_WORK = 5
"""What to subscribe to a filter costs, in units of `BrokerCore.work`."""
UNRELEASED = 1_000
"""Publications of QoS 2 that one client has said and not released."""


class BrokerCore:
    """Broker without sockets. `unit_of_work`: collects persistent changes; None: nothing is persistent.

    `permissions`: what a client may do. `clock`: seconds that only grow. `work`: what was done, in units of about a microsecond or
    two, by which whoever owns the sockets shares turns between clients.
    """

    def __init__(
        self,
        limits: Limits = LIMITS,
        remembered: int = REMEMBERED,
        unit_of_work: UnitOfWork | None = None,
        permissions: Callable[[ClientIdentity], Permissions] = lambda _: ALL_PERMISSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = Counters()
        self.work = 0
        self.sessions: dict[str, Session] = {}
        self.handler: MessageHandler | None = None
        self.broker_id = 0
        self._limits, self._remembered, self._unit_of_work, self._budget = (
            limits,
            remembered,
            unit_of_work,
            ByteBudget(),
        )
        self._permissions, self._backpressure = permissions, Backpressure(limits, clock)
        self._absent: dict[Session, None] = {}
        self._handler_filters: SubscriptionTable[None] = SubscriptionTable()
        self._output = SessionOutput(unit_of_work)
        self._send = self._output.send
        self._subscriptions = Subscriptions(self._send, self._queue_retained)
        self._pending_acks: dict[Session, None] = {}
        self._last_delivery_tag = self._handled = 0

    @property
    def last_delivery_tag(self) -> int:
        """The last delivery tag that was given out."""
        return self._last_delivery_tag

    @property
    def dropped_count(self) -> int:
        """Messages and sessions that went because of a limit."""
        return self.counters.dropped + self.counters.forgotten + self._subscriptions.retained.dropped

    # --- sessions -----------------------------------------------------------------------------------------------------

    def restore(self, stored: StoredState) -> None:
        """Restore the persistent state; before anything else."""
        for client in stored.clients:
            self._absent[self._make(client, clean=False)] = None
        for client_id, filter, qos in stored.subscriptions:
            self._subscriptions.restore(self.sessions[client_id], filter, qos)
        for number, row in stored.messages:
            self.sessions[row.client_id].outgoing.restore(number, row)
        for client_id, packet_id in stored.received:
            self.sessions[client_id].unreleased[packet_id] = None
        for message in stored.retained:
            self._subscriptions.retained.set(message)
        if self._unit_of_work is not None and stored.messages:
            self._unit_of_work.start_at(stored.messages[-1][0])

    def open_session(self, client_id: str, clean: bool, user: str | None = None) -> tuple[Session, bool]:
        """The session of a client that connects, and whether it was present: never that of another user."""
        client = ClientIdentity(client_id, user)
        existing = self.sessions.get(client_id)
        if existing is not None and not clean and not existing.clean and existing.client == client:
            self._absent.pop(existing, None)
            return existing, True
        if existing is not None:
            self.drop_session(existing)
        session = self._make(client, clean)
        session.recorder.on_opened()
        return session, False

    def _make(self, client: ClientIdentity, clean: bool) -> Session:
        recorder = NULL_RECORDER if clean or self._unit_of_work is None else SessionRecorder(self._unit_of_work, client)
        session = Session(client, clean, self._limits, recorder, self._budget)
        session.permissions = self._permissions(client)
        self.sessions[client.client_id] = session
        return session

    def on_disconnected(self, session: Session) -> None:
        """The client has disconnected. A session that is not clean is kept, up to a limit."""
        session.detach()
        self._backpressure.on_disconnected(session)
        self._pending_acks.pop(session, None)
        if session.clean:
            self.drop_session(session)
            return
        self._absent[session] = None
        if len(self._absent) > self._remembered:
            self.counters.forgotten += 1
            self.drop_session(next(iter(self._absent)))

    def drop_session(self, session: Session) -> None:
        """The session and its subscriptions are gone."""
        self._absent.pop(session, None)
        self._subscriptions.drop(session)
        for packet_id in session.unreleased:
            session.recorder.on_received(packet_id, False)
        session.outgoing.clear()
        self._backpressure.on_session_ended(session)
        session.recorder.on_closed()
        self._output.forget(session)
        if self.sessions.get(session.client.client_id) is session:
            del self.sessions[session.client.client_id]

    def set_handler_filter(self, filter: str, subscribed: bool) -> None:
        """Offer publications that match to the handler, or no longer."""
        if subscribed:
            self._handler_filters.add(filter, None, 2)
        else:
            self._handler_filters.discard(filter, None)

    # --- packets ------------------------------------------------------------------------------------------------------

    def handle_packet(self, session: Session, packet: Packet) -> bool:
        """Handle a packet of a client. False: it can not be taken now, offer the same packet again.

        Error: ProtocolError; the connection has to end.
        """
        kind = packet.kind
        self.work += 1
        if kind == packets.PUBLISH:
            message = packets.read_publish(packet)
            self.work += PUBLISH_WORK if message.qos else UNACKNOWLEDGED_WORK
            return self._published(session, message)
        if kind == packets.PUBACK or kind == packets.PUBCOMP:
            session.outgoing.on_puback_or_pubcomp(packets.read_ack(packet))
            self._send(session, session.outgoing.next_packets())
            if session.slow or session.lost_told:
                self._backpressure.on_progress(session)
        elif kind == packets.PUBREC:
            self._send(session, session.outgoing.on_pubrec(packets.read_ack(packet)))
        elif kind == packets.PUBREL:
            packet_id = packets.read_ack(packet)
            if packet_id in session.unreleased:
                del session.unreleased[packet_id]
                session.recorder.on_received(packet_id, False)
            self._send(session, packets.encode_ack(packets.PUBCOMP, packet_id))
        elif kind == packets.SUBSCRIBE:
            return self._subscribed(session, packet)
        elif kind == packets.UNSUBSCRIBE:
            packet_id, unwanted = packets.read_unsubscribe(packet)
            self.work += FILTER_WORK * len(unwanted)
            self._subscriptions.unsubscribe(session, packet_id, unwanted)
        elif kind == packets.PINGREQ:
            self._send(session, packets.PINGRESP_PACKET)
        else:
            raise ProtocolError(f"a packet of type {kind} from a client that is connected")
        return True

    def _subscribed(self, session: Session, packet: Packet) -> bool:
        """False while it is still being sent what an earlier subscription asked for."""
        if session.retained_delivery is not None:
            return False
        packet_id, filters = packets.read_subscribe(packet)
        self.work += FILTER_WORK * len(filters)
        self._subscriptions.subscribe(session, packet_id, filters)
        self.send_retained(session)
        return True

    def send_retained(self, session: Session) -> int:
        """Send on what is retained and `session.retained_delivery` has left, which is None when there is nothing more: how far that
        came, 0 while the socket of the client is full.
        """
        steps = self._subscriptions.send_retained(session)
        self.work += steps
        session.retained_steps += steps
        return steps

    def on_connected(self, session: Session, *, present: bool) -> None:
        """A client has connected: send what its session has queued."""
        self._send(session, packets.encode_connack(0, session_present=present))
        self._send(session, session.outgoing.resend_packets())
        self._backpressure.on_progress(session)

    def publish_from_client(self, message: Publish, unacknowledged: int = 0) -> AckCondition | None:
        """Handle a PUBLISH of a client, or its will: what its acknowledgement has to wait for; None: offer it again later.

        `unacknowledged`: how many acknowledgements the client waits for already.
        """
        unit_of_work = self._unit_of_work
        if message.qos and unit_of_work is not None and unit_of_work.is_full:
            return None
        if message.qos and not self._admits(message, unacknowledged):
            return None
        receipt = self._offer(message)
        if receipt is None:
            return None
        self.counters.received += 1
        noted = unit_of_work.noted if unit_of_work is not None else 0
        overflows = self._distribute(message, waits=True)
        if unit_of_work is None or not message.qos or unit_of_work.noted == noted:
            return AckCondition(0, receipt, overflows)
        return AckCondition(unit_of_work.turn, receipt, overflows)

    def _admits(self, message: Publish, unacknowledged: int) -> bool:
        """Whether every subscriber can take it, now or while its publisher waits."""
        size = len(message.payload)
        for session, granted in self._subscriptions.match(message.topic).items():
            full = granted and not session.outgoing.fits(size) and session.permissions.may_read(message.topic)
            if full and not self._backpressure.admits(session, size, unacknowledged):
                return False
        return True

    def _offer(self, message: Publish) -> int | None:
        """Offer it to whoever listens inside; the receipt to wait for, None when it can not be taken now."""
        if self.handler is None or not self._handler_filters.match(message.topic):
            return 0
        receipt = self._last_delivery_tag + 1 if message.qos and self.broker_id else 0
        arrival = InboundMessage(message.topic, message.payload, message.qos, message.retain, receipt, self.broker_id)
        if not self.handler(arrival):
            return None
        self._last_delivery_tag = receipt or self._last_delivery_tag
        return receipt

    def _published(self, session: Session, message: Publish) -> bool:
        if not session.permissions.may_write(message.topic):
            # MQTT 3.1.1 has no way to say no: it is acknowledged, and goes nowhere (3.3.5)
            self.counters.denied += 1
            condition: AckCondition | None = NO_CONDITION
        elif message.qos == 2 and message.packet_id in session.unreleased:
            condition = session.unreleased[message.packet_id]
            if condition is None:
                # said to a process before this one, which may have ended before whoever listens inside had handled it
                receipt = self._offer(message)
                condition = None if receipt is None else AckCondition(0, receipt)
        else:
            if message.qos == 2 and len(session.unreleased) >= UNRELEASED:
                raise ProtocolError(f"more than {UNRELEASED} publications that it does not release")
            condition = self.publish_from_client(message, len(session.pending_acks))
        if condition is None:
            return False
        if message.qos == 2:
            self._acknowledge(session, packets.PUBREC, message.packet_id, self._receive(session, message, condition))
        elif message.qos == 1:
            self._acknowledge(session, packets.PUBACK, message.packet_id, condition)
        return True

    def _receive(self, session: Session, message: Publish, condition: AckCondition) -> AckCondition:
        """Know it when it is said again; what its PUBREC waits for."""
        duplicate = message.packet_id in session.unreleased
        if not duplicate:
            session.recorder.on_received(message.packet_id, True)
            condition = condition._replace(turn=max(condition.turn, session.recorder.due))
        session.unreleased[message.packet_id] = condition
        return condition

    # --- out ----------------------------------------------------------------------------------------------------------

    def publish(self, message: Publish) -> None:
        """Publish to all who subscribed, and retain the message if asked to. What does not fit is lost for that subscriber."""
        self._distribute(message, waits=False)

    def _distribute(self, message: Publish, *, waits: bool) -> list[Overflow]:
        """What its publisher has to wait for, if it `waits`."""
        if message.retain and self._subscriptions.retained.set(message) and self._unit_of_work is not None:
            self._unit_of_work.retain(message)
        as_is = b""
        overflows: list[Overflow] = []
        receivers = self._subscriptions.match(message.topic)
        self.work += len(receivers)
        for session, granted in receivers.items():
            qos = min(message.qos, granted)
            if not session.permissions.may_read(message.topic):
                continue
            if qos:
                overflow = self._queue(session, Publish(message.topic, message.payload, qos), waits=waits)
                if overflow is not None:
                    overflows.append(overflow)
            elif session.free_bytes is not None and session.free_bytes() > session.unsent_bytes:
                as_is = as_is or packets.encode_publish(message.topic, message.payload)
                self._send(session, as_is)
                self.counters.sent += 1
            elif session.free_bytes is not None:
                self.counters.dropped += 1
        return overflows

    def flush(self) -> None:
        """Write what was sent since the last call, and hand over the changes."""
        if self._backpressure.forget_settled():
            self._send_pending_acks()
        self._output.flush()

    def on_committed(self, turn: int) -> None:
        """Everything up to this turn is committed: send what waited for it."""
        self._output.on_committed(turn)
        self._send_pending_acks()
        self.flush()

    def acknowledge(self, receipt: int) -> None:
        """The handler has handled everything up to this delivery tag."""
        self._handled = max(receipt, self._handled)
        self._send_pending_acks()
        self.flush()

    def deadline(self) -> float | None:
        """When `expire` has to be called, by the clock; None while nobody waits for a subscriber."""
        return self._backpressure.deadline()

    def expire(self) -> None:
        """Publishers wait no longer for subscribers that have had their time."""
        self.counters.dropped += self._backpressure.expire()
        self.flush()

    def _acknowledge(self, session: Session, kind: int, packet_id: int, condition: AckCondition) -> None:
        """Acknowledge it in its turn: not before those that came before it."""
        ack = packets.encode_ack(kind, packet_id)
        if not session.pending_acks and condition.holds(self._output.committed, self._handled):
            self._send(session, ack)
        else:
            session.pending_acks.append((ack, condition))
            self._pending_acks[session] = None

    def _send_pending_acks(self) -> None:
        for session in list(self._pending_acks):
            pending_acks = session.pending_acks
            while pending_acks and pending_acks[0][1].holds(self._output.committed, self._handled):
                self._send(session, pending_acks.popleft()[0])
            if not pending_acks:
                del self._pending_acks[session]

    def _queue(self, session: Session, message: Publish, *, waits: bool, beyond: bool = False) -> Overflow | None:
        """Queue it for a subscriber, `beyond` its limits if need be; what its publisher has to wait for, if it `waits`."""
        overflow = None
        if beyond or session.outgoing.fits(len(message.payload)):
            session.outgoing.push(message, beyond=True)
            session.refused_since = None
        elif waits and self._backpressure.waits_for(session):
            overflow = self._backpressure.push_overflow(session, message)
        else:
            self.counters.dropped += 1
            self._backpressure.on_message_lost(session)
            return None
        self.counters.sent += 1
        if session.send is not None:
            self._send(session, session.outgoing.next_packets())
        return overflow

    def _queue_retained(self, session: Session, message: Publish, beyond: bool) -> None:
        self._queue(session, message, waits=False, beyond=beyond)
