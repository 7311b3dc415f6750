"""The shell of CloudHub: the link server's events and the controllers' messages in, frames and typed messages out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeedge_actors.actors.cloudhub.admission import (
    Door,
    claims_to_be_the_cloud,
    is_its_own,
    is_leased,
    is_ours,
    node_of,
    wants_acknowledgement,
)
from kubeedge_actors.actors.cloudhub.events import EVENTS, Down, Gathered, PeerJoined, PeerLeft, TextCame, Tick
from kubeedge_actors.actors.cloudhub.gate import Gate
from kubeedge_actors.actors.cloudhub.handover import Handover
from kubeedge_actors.actors.cloudhub.intake import Intake
from kubeedge_actors.actors.cloudhub.limits import Allowance, OncePer
from kubeedge_actors.actors.cloudhub.receipts import DURABLE
from kubeedge_actors.actors.cloudhub.replies import control_answer, delivered_object, is_empty
from kubeedge_actors.actors.cloudhub.rivals import Rivals
from kubeedge_actors.actors.cloudhub.session import KEEPALIVE, Session
from kubeedge_actors.actors.cloudhub.traffic import DOWN, UP, Traffic
from kubeedge_actors.drivers.link.base import LinkServer, LinkTls, Peer
from kubeedge_actors.errors import FrameError, WireError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, Ref
from kubeedge_actors.wire import codec, mapping, names
from kubeedge_actors.wire.messages import (
    Answered,
    KeepAlive,
    NodeAlive,
    NodeDuplicated,
    NodeRemoved,
    ObjectDelivered,
    ObjectPushed,
    OutboxAcknowledged,
    QueryClusterCa,
    Refused,
    Said,
    SessionClosed,
    SessionOpened,
    UnknownRecord,
)

TICK = 0.25
GATHER, MEASURE = 0.02, 5.0
STRANGE = 600
"""Messages of unknown meaning that a node may say in a minute: who takes none keeps each as a dead letter."""
MAILBOX = 20_000
CLOSED, TAKEN_OVER = 4000, 4409
"""Codes with which a WebSocket is closed, for programs; the reason is for people."""
KEPT = frozenset({KeepAlive, Answered, Refused, QueryClusterCa})
"""Upward types that end here."""


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
        *(UnknownRecord, SessionOpened, SessionClosed, ObjectDelivered, NodeAlive, NodeDuplicated),
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
    ) -> None:
        self._server = server
        self._listen = listen
        self._cluster_ca = cluster_ca
        self._limit = node_limit
        self._keepalive = keepalive
        self._accepting = accepting
        self._door = door or Door()
        self._traffic = traffic or Traffic()
        self._sessions: dict[str, Session] = {}
        self._by_peer: dict[int, Session] = {}
        self._intake = Intake(self._hand_over, lambda: self.after(GATHER, Gathered()))
        self._measure_at = 0.0
        self._rivals = Rivals()
        self._warned = OncePer()
        self._strange = Allowance(STRANGE, 60.0)

    @classmethod
    def spec(cls, factory: Callable[[], Any] | None = None, **overrides: Any) -> ChildSpec:
        """As every module's, with a mailbox that holds a burst of a whole fleet."""
        return super().spec(factory, **{"mailbox": MailboxSpec(capacity=MAILBOX), **overrides})

    def on_start(self) -> None:
        """Serve; take over who is connected."""
        gate = Gate(self.ref, self.clock, self._door, self._traffic, self._full)
        self._server.start(self._listen.host, self._listen.port, self._listen.tls, gate)
        for peer in self._server.peers():
            self._join(peer)
        self.after(TICK, Tick(due=self.clock.monotonic() + TICK))

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
            self._traffic.note("closed: connection lost")
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
        self._measure(now)
        for session in list(self._sessions.values()):
            # at `due`, not now: what came before `due` has been handled, while a late tick proves nothing
            if session.expired(tick.due):
                self._close(session, "no heart-beat")
            elif session.deadline <= now:
                self._send_all(session, session.tick(now))

    def _measure(self, now: float) -> None:
        self._traffic.sessions = len(self._sessions)
        if now >= self._measure_at:
            self._measure_at = now + MEASURE
            self._traffic.waiting = sum(session.waiting for session in self._sessions.values())

    def _full(self, peer: Peer) -> bool:
        return len(self._sessions) >= self._limit and node_of(peer) not in self._sessions

    def _join(self, peer: Peer) -> None:
        node = node_of(peer)
        old = self._sessions.get(node)
        if old is not None and old.peer.id == peer.id:
            return
        if self._full(peer):  # several came through the door at the same time
            self._traffic.note("refused: node limit")
            self._part(peer, "the node limit is reached", CLOSED)
            return
        now = self.clock.monotonic()
        if old is not None:
            self._take_over(old, peer, now)
        acknowledging = wants_acknowledgement(peer)
        session = Session(node, peer, now, acknowledging=acknowledging, keepalive=self._keepalive)
        self._sessions[node] = self._by_peer[peer.id] = session
        self.publish(SessionOpened(node=node))

    def _take_over(self, old: Session, peer: Peer, now: float) -> None:
        said = f"another connection from {peer.address} took over node {old.node}: do two edges have this name?"
        self._close(old, "a newer connection of the same node", said, TAKEN_OVER)
        if sentence := self._rivals.took_over(old.node, old.peer.address, peer.address, now):
            self._warn(sentence)
            self.publish(NodeDuplicated(node=old.node, text=sentence))

    def _warn(self, sentence: str, about: str = "") -> None:
        """Say it at WARNING, what is `about` the same thing once a minute; a hostile node must not fill the log."""
        if not about or self._warned.lets(about, self.clock.monotonic()):
            self.log.warning("%s", sentence)

    def _close(self, session: Session, reason: str, said: str = "", code: int = CLOSED) -> None:
        """End it; `said`: what its node is told, if that is more than the reason."""
        self._traffic.note(f"closed: {reason}")
        self.log.info("the session of %s is closed: %s", session.node, reason)
        self._part(session.peer, said or reason, code)
        self._end(session, reason)

    def _part(self, peer: Peer, reason: str, code: int) -> None:
        # a genuine edge sees what it has always seen: a connection that ends
        self._server.close(peer, reason, code if is_ours(peer) else 0)

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
            self._warn(f"node {session.node} sent what is no message: {error}", session.node)
        except Exception:  # a defect of ours in reading must not let one node stop all others
            self.log.exception("what node %s sent can not be read", session.node)
        else:
            self._traffic.count(UP, record.route, text)
            return message
        self._close(session, "a malformed message")
        return None

    def _heard(self, session: Session, message: Said, at: float) -> None:
        match message:
            case KeepAlive():
                session.heard(at)
                if is_leased(session.peer):
                    self.publish(NodeAlive(node=session.node))
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
                self._warn(
                    f"node {session.node} said a {type(message).__name__}, which is not its to say", session.node
                )

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
        elif claims_to_be_the_cloud(message.record):
            self._traffic.note("dropped: in the name of a cloud module")
        elif not is_empty(message):
            self._pass_on(session, message)

    def _pass_on(self, session: Session, message: UnknownRecord) -> None:
        taken = self._accepting is not None and self._accepting(UnknownRecord)
        if taken or self._strange.lets(session.node, self.clock.monotonic()):
            self.publish(message)
        else:
            self._traffic.note("dropped: too many of unknown meaning")
            self._warn(f"node {session.node} says much that nobody understands; most of it is dropped", session.node)

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
        self._traffic.count(DOWN, record.route, text)
        self._server.send(peer, text)

    def _unsayable(self, session: Session, message: Said, error: WireError) -> None:
        self.log.warning("a %s for %s can not be written: %s", type(message).__name__, session.node, error)
        self._traffic.note("dropped: can not be written")

    def _now_ms(self) -> int:
        return int(self.clock.now() * 1000)
