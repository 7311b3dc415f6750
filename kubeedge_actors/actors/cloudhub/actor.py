"""The shell of CloudHub: the link server's events and the controllers' messages in, frames and typed messages out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeedge_actors.actors.cloudhub.admission import Door, is_its_own, wants_acknowledgement
from kubeedge_actors.actors.cloudhub.events import EVENTS, Gathered, PeerJoined, PeerLeft, RefreshToken, TextCame, Tick
from kubeedge_actors.actors.cloudhub.gate import Gate
from kubeedge_actors.actors.cloudhub.handover import Handover
from kubeedge_actors.actors.cloudhub.intake import Intake
from kubeedge_actors.actors.cloudhub.receipts import DURABLE
from kubeedge_actors.actors.cloudhub.replies import control_answer, delivered_object, is_empty
from kubeedge_actors.actors.cloudhub.session import KEEPALIVE, Session
from kubeedge_actors.actors.cloudhub.traffic import DOWN, UP, Traffic
from kubeedge_actors.drivers.link.base import LinkServer, LinkTls, Peer
from kubeedge_actors.errors import FrameError, WireError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, Ref
from kubeedge_actors.wire import codec, mapping, names
from kubeedge_actors.wire.messages import (
    AllowTarget,
    Answered,
    BusAnswered,
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    CallService,
    ForbidTarget,
    KeepAlive,
    MembershipChanged,
    MembershipDetailed,
    NodeRemoved,
    ObjectDelivered,
    ObjectPushed,
    OutboxAcknowledged,
    QueryClusterCa,
    Refused,
    ReportConfirmed,
    Said,
    SessionClosed,
    SessionOpened,
    UnknownRecord,
)

TICK = 0.25
GATHER = 0.02
TOKEN_REFRESH = 12 * 3600.0
MAILBOX = 20_000
KEPT = frozenset({KeepAlive, Answered, Refused, QueryClusterCa})
"""Upward types that end here."""

Down = (
    Answered
    | MembershipChanged
    | MembershipDetailed
    | ReportConfirmed
    | BusPublish
    | BusSubscribe
    | BusUnsubscribe
    | BusAnswered
    | AllowTarget
    | ForbidTarget
    | CallService
)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the hub serves, and with which certificate; `tls` None only in tests."""

    host: str
    port: int
    tls: LinkTls | None


class CloudHub(Module):
    """One session for each node.

    `accepting`: who accepts a type (the registry's method), so that a durable message is acknowledged when it was
    handled; without it, when it was told. The server outlives a crash of the hub: its connections go over to the
    next incarnation. Whoever made the server stops it.
    """

    name = names.CLOUDHUB
    group = names.GROUP_HUB
    emits = (
        *sorted(mapping.UPWARD - KEPT, key=lambda said: said.__name__),
        *(UnknownRecord, SessionOpened, SessionClosed, ObjectDelivered),
        *EVENTS,
    )

    def __init__(
        self,
        server: LinkServer,
        listen: Listen,
        *,
        cluster_ca: str = "",
        node_limit: int = 5000,
        keepalive: float = KEEPALIVE,
        accepting: Callable[[type], tuple[Ref, ...]] | None = None,
        door: Door | None = None,
        traffic: Traffic | None = None,
        refresh_token: Callable[[], object] | None = None,
    ) -> None:
        self._server = server
        self._listen = listen
        self._cluster_ca = cluster_ca
        self._limit = node_limit
        self._keepalive = keepalive
        self._accepting = accepting
        self._door = door or Door()
        self._refresh_token = refresh_token
        self._traffic = traffic or Traffic()
        self._sessions: dict[str, Session] = {}
        self._by_peer: dict[int, Session] = {}
        self._intake = Intake(self._hand_over, lambda: self.after(GATHER, Gathered()))

    @classmethod
    def spec(cls, factory: Callable[[], Any] | None = None, **overrides: Any) -> ChildSpec:
        """As every module's, with a mailbox that holds a burst of a whole fleet."""
        return super().spec(factory, **{"mailbox": MailboxSpec(capacity=MAILBOX), **overrides})

    def on_start(self) -> None:
        """Serve; take over who is connected."""
        gate = Gate(self.ref, self.clock, self._door)
        self._server.start(self._listen.host, self._listen.port, self._listen.tls, gate)
        for peer in self._server.peers():
            self._join(peer)
        self.after(TICK, Tick(due=self.clock.monotonic() + TICK))
        if self._refresh_token is not None:
            self.every(TOKEN_REFRESH, RefreshToken())

    # --- sessions

    @on
    def joined(self, event: PeerJoined) -> None:
        """A session, before anything of this node is read."""
        self._join(event.peer)

    @on
    def left(self, event: PeerLeft) -> None:
        """The end of its session, unless that is over already."""
        session = self._by_peer.get(event.peer.id)
        if session is not None:
            self._end(session, event.reason)

    @on
    def removed(self, message: NodeRemoved) -> None:
        """Forget the node."""
        session = self._sessions.get(message.node)
        if session is not None:
            self._close(session, "the node was deleted")
        self._intake.forget(message.node)

    @on
    def tick(self, tick: Tick) -> None:
        """End sessions without heart-beat, say again what was not acknowledged."""
        now = self.clock.monotonic()
        self.after(TICK, Tick(due=now + TICK))
        for session in list(self._sessions.values()):
            # at `due`, not now: what came before `due` has been handled, while a late tick proves nothing
            if session.expired(tick.due):
                self._close(session, "no heart-beat")
            elif session.deadline <= now:
                self._send_all(session, session.tick(now))

    @on
    def refresh(self, message: RefreshToken) -> None:
        """Make a new bootstrap token."""
        if self._refresh_token is not None:
            self._refresh_token()

    def _join(self, peer: Peer) -> None:
        node = peer.headers[names.HEADER_NODE.lower()]
        old = self._sessions.get(node)
        if old is not None and old.peer.id == peer.id:
            return
        if old is None and len(self._sessions) >= self._limit:
            self._traffic.note("refused: node limit")
            self.log.warning("node %s is refused: %d nodes are connected, which is the limit", node, self._limit)
            self._server.close(peer, "the node limit is reached")
            return
        if old is not None:
            self._close(old, "a newer connection of the same node")
        acknowledging = wants_acknowledgement(peer)
        now = self.clock.monotonic()
        session = Session(node, peer, now, acknowledging=acknowledging, keepalive=self._keepalive)
        self._sessions[node] = self._by_peer[peer.id] = session
        self.publish(SessionOpened(node=node))

    def _close(self, session: Session, reason: str) -> None:
        self._traffic.note(f"closed: {reason}")
        self.log.info("the session of %s is closed: %s", session.node, reason)
        self._server.close(session.peer, reason)
        self._end(session, reason)

    def _end(self, session: Session, reason: str) -> None:
        del self._by_peer[session.peer.id]
        if self._sessions.get(session.node) is session:
            del self._sessions[session.node]
        self._intake.parted(session.node)
        self.publish(SessionClosed(node=session.node, reason=reason))

    # --- up

    @on(batch=256)
    def texts(self, events: list[TextCame]) -> None:
        """Read what nodes say."""
        for event in events:
            session = self._by_peer.get(event.peer.id)
            if session is None:
                self._traffic.note("dropped: said after the session's end")
                continue
            message = self._read(session, event.text)
            if message is not None:
                self._heard(session, message, event.at)

    def _read(self, session: Session, text: str) -> Said | None:
        try:
            record = codec.decode(text)
            message = mapping.from_record(record, session.node)
        except FrameError as error:
            self.log.warning("node %s sent what is no message: %s", session.node, error)
        except Exception:  # a defect of ours in reading must not let one node stop all others
            self.log.exception("what node %s sent can not be read", session.node)
        else:
            self._traffic.count(UP, record.route.source, type(message).__name__, len(text))
            return message
        self._close(session, "a malformed message")
        return None

    def _heard(self, session: Session, message: Said, at: float) -> None:
        match message:
            case KeepAlive():
                session.heard(at)
            case Answered():
                self._acknowledged(session, message)
            case Refused():
                self._traffic.note("refused by a node")
                self.log.debug("%s could not do %s: %s", session.node, message.parent_msg_id, message.reason)
            case QueryClusterCa():
                self._answer_ca(session, message)
            case UnknownRecord():
                self._unknown(session, message)
            case _ if type(message) in mapping.UPWARD and is_its_own(message):
                self._up(session, message)
            case _:
                self._traffic.note("dropped: not a node's to say")
                self.log.warning("node %s said a %s, which is not its to say", session.node, type(message).__name__)

    def _up(self, session: Session, message: Said) -> None:
        if not session.acknowledging or type(message) not in DURABLE or not message.msg_id:
            self.publish(message)
        elif not self._intake.take(message):
            self._traffic.note("dropped: said twice")

    def _hand_over(self, message: Said, settled: Callable[[bool], None]) -> None:
        receivers = self._accepting(type(message)) if self._accepting is not None else ()
        if receivers:
            Handover(settled).begin(message, receivers, self.ask)
        else:
            self.publish(message)
            settled(True)

    @on
    def gathered(self, message: Gathered) -> None:
        """Acknowledge what was handled."""
        for node, ids in self._intake.owed():
            session = self._sessions.get(node)
            if session is not None:
                self._send_all(session, [OutboxAcknowledged(node=node, ids=ids)])

    def _acknowledged(self, session: Session, ack: Answered) -> None:
        released, following = session.acknowledged(ack, self.clock.monotonic())
        pushed = delivered_object(released)
        if pushed is not None:
            self.publish(ObjectDelivered(node=session.node, pushed=pushed))
        self._send_all(session, following)

    def _answer_ca(self, session: Session, query: QueryClusterCa) -> None:
        answer = Answered(
            node=session.node,
            parent_msg_id=query.msg_id,
            resource=names.PATH_CLUSTER_CA,
            content=self._cluster_ca,
            source=names.CLOUDHUB,
        )
        self._send_all(session, [answer])

    def _unknown(self, session: Session, message: UnknownRecord) -> None:
        answer = control_answer(message)
        if answer is not None:
            self._send_all(session, [answer])
        elif not is_empty(message):
            self.publish(message)

    # --- down

    @on(batch=256)
    def pushed(self, messages: list[ObjectPushed]) -> None:
        """Deliver objects."""
        for message in messages:
            if message.type == names.NODE and message.operation == names.DELETE:
                self.removed(NodeRemoved(node=message.node))
                continue
            session = self._down(message)
            if session is not None and session.has(message):
                self.publish(ObjectDelivered(node=session.node, pushed=message))

    @on
    def said(self, message: Down) -> None:
        """Deliver everything else."""
        self._down(message)

    def _down(self, message: Said) -> Session | None:
        """Say it to its node. The session when it turns out to be old news there."""
        session = self._sessions.get(message.node)
        if session is None:
            self._traffic.note("dropped: node without session")
            return None
        if not message.timestamp:
            message = msgspec.structs.replace(message, timestamp=self._now_ms())
        try:
            sending = session.say(message, self.clock.monotonic())
        except WireError as error:
            self._unsayable(session, message, error)
            return None
        if sending is None:
            self._traffic.note("dropped: old news")
            return session
        self._send_all(session, sending)
        if session.overdue:
            self._close(session, "it acknowledges nothing")
        return None

    def _send_all(self, session: Session, messages: Iterable[Said]) -> None:
        waiting = deque(messages)
        while waiting:
            message = waiting.popleft()
            try:
                self._write(session.peer, message)
            except WireError as error:
                self._unsayable(session, message, error)
                waiting.extend(session.give_up(message, self.clock.monotonic()))

    def _write(self, peer: Peer, message: Said) -> None:
        record = mapping.to_record(message, self._now_ms())
        text = codec.encode(record)
        kind = message.type if isinstance(message, ObjectPushed) else type(message).__name__
        self._traffic.count(DOWN, record.route.source, kind, len(text))
        self._server.send(peer, text)

    def _unsayable(self, session: Session, message: Said, error: WireError) -> None:
        self.log.warning("a %s for %s can not be written: %s", type(message).__name__, session.node, error)
        self._traffic.note("dropped: can not be written")

    def _now_ms(self) -> int:
        return int(self.clock.now() * 1000)
