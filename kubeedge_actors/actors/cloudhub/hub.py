"""The actor CloudHub: events of the link server and messages of the controllers in, frames and typed messages out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kubeedge_actors.actors.cloudhub.control_messages import (
    cluster_ca_response,
    control_response,
    is_final_empty_message,
)
from kubeedge_actors.actors.cloudhub.frame_limits import MAX_ID, too_large_sentence
from kubeedge_actors.actors.cloudhub.frame_writer import FrameWriter
from kubeedge_actors.actors.cloudhub.link_adapter import ServerEventsAdapter
from kubeedge_actors.actors.cloudhub.messages import (
    DURABLE,
    HANDLED_HERE,
    HUB_MESSAGES,
    SENT_ONCE,
    DelayedAcksDue,
    DownstreamMessage,
    FrameReceived,
    ListenConfig,
    PeerJoined,
    PeerLeft,
    SessionCheckDue,
)
from kubeedge_actors.actors.cloudhub.peer_authorization import may_send, names_cloud_source
from kubeedge_actors.actors.cloudhub.session import KEEPALIVE, NodeSession, acked_object
from kubeedge_actors.actors.cloudhub.takeover_detector import TakeoverDetector
from kubeedge_actors.actors.cloudhub.traffic import UP, TrafficCounters
from kubeedge_actors.actors.cloudhub.upgrade_headers import (
    cloud_renews_lease,
    confirms_messages,
    is_native,
    node_of,
    wants_upstream_acks,
)
from kubeedge_actors.actors.cloudhub.upstream_pressure import controllers
from kubeedge_actors.drivers.link.base import LinkServer, Peer
from kubeedge_actors.errors import FrameError, WireError
from kubeedge_actors.hubs.durable_inbox import DurableInbox, FanOut
from kubeedge_actors.hubs.rate_limits import JoinRateLimiter, Quota
from kubeedge_actors.module import Module, on
from kubeedge_actors.outage_log import OncePerInterval
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, Ref, Undeliverable
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    CustomMessage,
    ErrorResponse,
    KeepAlive,
    KeepaliveReceived,
    LinkMessage,
    MessageConfirmed,
    MessageLost,
    MessageNotRead,
    NodeDuplicated,
    NodeRemoved,
    ObjectAcked,
    ObjectPushed,
    OutboxAcknowledged,
    QueryClusterCa,
    ReportRefused,
    Response,
    SendToNode,
    SessionClosed,
    SessionOpened,
    UnknownMessage,
)

CHECK_SECONDS, ACK_DELAY = 0.25, 0.02
UNKNOWN_PER_MINUTE = 600
"""Messages of unknown meaning that a node may say in a minute: who takes none keeps each as a dead letter."""
MAILBOX = 20_000
CLOSED, TAKEN_OVER = 4000, 4409
"""Codes with which a WebSocket is closed, for programs; the reason is for people."""


class CloudHub(Module):
    """The cloud's end of the links: one session for each node.

    `accepting`: who accepts a type (the registry's method), so that a durable message is acknowledged when it was
    handled; without it, when it was told. `types`: all that are accepted, those of modules' own messages among them. The server outlives a crash of the hub: its connections go over to the
    next incarnation. Whoever made the server stops it.
    """

    name = constants.CLOUDHUB
    group = constants.GROUP_HUB
    emits = (
        *sorted(mapping.UPWARD - HANDLED_HERE, key=lambda said: said.__name__),
        *(UnknownMessage, SessionOpened, SessionClosed, ObjectAcked, KeepaliveReceived, NodeDuplicated),
        *(MessageConfirmed, MessageLost, MessageNotRead),
        *HUB_MESSAGES,
    )

    def __init__(
        self,
        server: LinkServer,
        listen: ListenConfig,
        *,
        cluster_ca: str = "",
        node_limit: int = 5000,
        keepalive: float = KEEPALIVE,
        accepting: Callable[[type], tuple[Ref, ...]] | None = None,
        types: Callable[[], Iterable[type]] = tuple,
        join_limiter: JoinRateLimiter | None = None,
        traffic: TrafficCounters | None = None,
    ) -> None:
        self._server, self._listen = server, listen
        self._cluster_ca, self._limit, self._keepalive = cluster_ca, node_limit, keepalive
        self._accepting, self._controllers = accepting, controllers(accepting)
        self._join_limiter = join_limiter or JoinRateLimiter()
        self._traffic = traffic or TrafficCounters()
        self._sessions: dict[str, NodeSession] = {}
        self._by_peer: dict[int, NodeSession] = {}
        fan_out = FanOut(self, accepting, types)
        self._inbox = DurableInbox(fan_out.hand_out, lambda: self.after(ACK_DELAY, DelayedAcksDue()))
        self._takeovers = TakeoverDetector()
        self._warned, self._unknown_quota = OncePerInterval(), Quota(UNKNOWN_PER_MINUTE, 60.0)

    @classmethod
    def spec(cls, factory: Callable[[], Any] | None = None, **overrides: Any) -> ChildSpec:
        """The child spec, with a mailbox that holds a burst of all nodes."""
        return super().spec(factory, **{"mailbox": MailboxSpec(capacity=MAILBOX), **overrides})

    def on_start(self) -> None:
        """Start to serve; take over the connections that outlived a crash."""
        self._gate = ServerEventsAdapter(
            self.ref,
            self.clock,
            self._join_limiter,
            self._traffic,
            self._full,
            self._server.call_soon,
            self._controllers,
        )
        self._frames = FrameWriter(self._server, self._traffic, self.clock, self.log)
        self._server.start(self._listen.host, self._listen.port, self._listen.tls, self._gate)
        for peer in self._server.peers():
            self._join(peer)
        self.after(CHECK_SECONDS, SessionCheckDue(due=self.clock.monotonic() + CHECK_SECONDS))

    # --- sessions

    @on
    def on_peer_joined(self, event: PeerJoined) -> None:
        """Open a session, before anything of this node is read."""
        self._join(event.peer)

    @on
    def on_peer_left(self, event: PeerLeft) -> None:
        """End the peer's session, if it is still open."""
        session = self._by_peer.get(event.peer.id)
        if session is not None:
            self._traffic.count_outcome("closed: connection lost")
            self._end(session, event.reason)

    @on
    def on_node_removed(self, message: NodeRemoved) -> None:
        """Forget the node."""
        session = self._sessions.get(message.node)
        if session is not None:
            self._close(session, "the node was deleted")
        self._inbox.forget(message.node)

    @on
    def on_session_check_due(self, tick: SessionCheckDue) -> None:
        """Close sessions without keepalive; resend what was not acknowledged."""
        now = self.clock.monotonic()
        self.after(CHECK_SECONDS, SessionCheckDue(due=now + CHECK_SECONDS))
        self._traffic.measure(now, self._sessions.values())
        for session in list(self._sessions.values()):
            # at `due`, not now: what came before `due` has been handled, while a late tick proves nothing
            if session.is_expired(tick.due):
                self._close(session, "no heart-beat")
            elif session.next_due <= now:
                self._frames.send(session, session.due(now))

    @on
    def on_report_refused(self, message: ReportRefused) -> None:
        """Read its node at a pace for a while."""
        session = self._sessions.get(message.node)
        if session is not None:
            self._gate.on_refused(session.peer)

    def _full(self, peer: Peer) -> bool:
        return len(self._sessions) >= self._limit and node_of(peer) not in self._sessions

    def _join(self, peer: Peer) -> None:
        node = node_of(peer)
        old = self._sessions.get(node)
        if old is not None and old.peer.id == peer.id:
            return
        if self._full(peer):  # several came through the door at the same time
            self._traffic.count_outcome("refused: node limit")
            self._part(peer, "the node limit is reached", CLOSED)
            return
        now = self.clock.monotonic()
        if old is not None:
            self._take_over(old, peer, now)
        session = NodeSession(node, peer, now, acknowledging=wants_upstream_acks(peer), keepalive=self._keepalive)
        self._sessions[node] = self._by_peer[peer.id] = session
        self._traffic.links.on_opened(session, self.clock.now())
        self.publish(SessionOpened(node=node, confirms=confirms_messages(peer)))

    def _take_over(self, old: NodeSession, peer: Peer, now: float) -> None:
        said = f"another connection from {peer.address} took over node {old.node}: do two edges have this name?"
        self._close(old, "a newer connection of the same node", said, TAKEN_OVER)
        if sentence := self._takeovers.on_takeover(old.node, old.peer.address, peer.address, now):
            self._warn_limited(sentence)
            self.publish(NodeDuplicated(node=old.node, text=sentence))

    def _warn_limited(self, sentence: str, about: str = "") -> None:
        """Say it at WARNING, what is `about` the same thing once a minute; a hostile node must not fill the log."""
        if not about or self._warned.allow(about, self.clock.monotonic()):
            self.log.warning("%s", sentence)

    def _close(self, session: NodeSession, reason: str, said: str = "", code: int = CLOSED) -> None:
        """End it; `said`: what its node is told, if that is more than the reason."""
        self._traffic.count_outcome(f"closed: {reason}")
        self.log.info("the session of %s is closed: %s", session.node, reason)
        self._part(session.peer, said or reason, code)
        self._end(session, reason)

    def _part(self, peer: Peer, reason: str, code: int) -> None:
        # a genuine edge sees what it has always seen: a connection that ends
        self._server.close(peer, reason, code if is_native(peer) else 0)

    def _end(self, session: NodeSession, reason: str) -> None:
        del self._by_peer[session.peer.id]
        if self._sessions.get(session.node) is session:
            del self._sessions[session.node]
        self._inbox.on_session_closed(session.node)
        self._traffic.links.on_closed(session, reason, self.clock.now())
        self._gate.on_session_ended(session.peer)
        self.publish(SessionClosed(node=session.node, reason=reason))

    # --- up

    @on(batch=256)
    def on_frame_received(self, events: list[FrameReceived]) -> None:
        """Decode frames of nodes and publish the messages."""
        for event in events:
            self._gate.on_frame_read(event)
            session = self._by_peer.get(event.peer.id)
            if session is None:
                self._traffic.count_outcome("dropped: said after the session's end")
                continue
            message = self._read(session, event.text)
            if message is not None:
                self._on_message(session, message, event.at)

    def _read(self, session: NodeSession, text: str) -> LinkMessage | None:
        try:
            record = beehive.decode(text)
            message = mapping.from_beehive(record, session.node)
            if len(message.msg_id) > MAX_ID:
                raise FrameError(f"an id of {len(message.msg_id)} characters")
        except FrameError as error:
            self._warn_limited(f"node {session.node} sent a malformed frame: {error}", session.node)
        except Exception:  # a defect of ours in reading must not let one node stop all others
            self.log.exception("a frame of node %s can not be decoded", session.node)
        else:
            self._traffic.count(UP, record.route, text, session.node)
            return message if self._has_room(session, message, len(text)) else None
        self._close(session, "a malformed message")
        return None

    def _has_room(self, session: NodeSession, message: LinkMessage, size: int) -> bool:
        sentence = too_large_sentence(message, size)
        if sentence:
            self._traffic.count_outcome("dropped: too large")
            self._warn_limited(sentence, session.node)
            if session.acknowledging and type(message) in DURABLE:  # or it comes again for ever
                self._frames.send(session, [OutboxAcknowledged(node=session.node, ids=[message.msg_id])])
        return not sentence

    def _on_message(self, session: NodeSession, message: LinkMessage, at: float) -> None:
        match message:
            case KeepAlive():
                session.on_keepalive(at)
                if cloud_renews_lease(session.peer):
                    self.publish(KeepaliveReceived(node=session.node))
            case Response():
                self._acknowledged(session, message)
            case ErrorResponse():
                self._traffic.count_outcome("refused by a node")
                self.log.debug("%s could not do %s: %s", session.node, message.parent_msg_id, message.reason)
            case QueryClusterCa():
                self._frames.send(session, [cluster_ca_response(message, self._cluster_ca)])
            case UnknownMessage():
                self._unknown(session, message)
            case _ if type(message) in mapping.UPWARD and may_send(message):
                self._publish_upstream(session, message)
            case _:
                self._traffic.count_outcome("dropped: not a node's to say")
                text = f"node {session.node} said a {type(message).__name__}, which it may not send: ignored"
                self._warn_limited(text, session.node)

    def _publish_upstream(self, session: NodeSession, message: LinkMessage) -> None:
        kept = session.acknowledging or isinstance(message, CustomMessage)
        if not kept or type(message) not in DURABLE or not message.msg_id:
            self.publish(message)
        elif not self._inbox.accept(message):
            self._traffic.count_outcome("dropped: said twice")

    @on
    def on_delayed_acks_due(self, message: DelayedAcksDue) -> None:
        """Send acks for the durable messages that were handled."""
        for node, ids in self._inbox.take_ready_acks():
            session = self._sessions.get(node)
            if session is not None:
                self._frames.send(session, [OutboxAcknowledged(node=node, ids=ids)])

    def _acknowledged(self, session: NodeSession, ack: Response) -> None:
        if ack.source == constants.SOURCE_EDGEHUB:  # a genuine edge says there who has sent what it acknowledges
            self.tell(constants.NODEOUTBOX, MessageConfirmed(node=session.node, msg_id=ack.parent_msg_id))
            return
        released, following = session.on_ack(ack, self.clock.monotonic())
        pushed = acked_object(released)
        if pushed is not None:
            self.publish(ObjectAcked(node=session.node, pushed=pushed))
        self._frames.send(session, following)

    def _unknown(self, session: NodeSession, message: UnknownMessage) -> None:
        answer = control_response(message)
        if answer is not None:
            self._frames.send(session, [answer])
        elif names_cloud_source(message.message):
            self._traffic.count_outcome("dropped: in the name of a cloud module")
        elif not is_final_empty_message(message):
            self._publish_unknown(session, message)

    def _publish_unknown(self, session: NodeSession, message: UnknownMessage) -> None:
        taken = self._accepting is not None and self._accepting(UnknownMessage)
        if taken or self._unknown_quota.allow(session.node, self.clock.monotonic()):
            self.publish(message)
        else:
            self._traffic.count_outcome("dropped: too many of unknown meaning")
            text = f"node {session.node} sends many messages of unknown meaning; most of them are dropped"
            self._warn_limited(text, session.node)

    # --- down

    @on(batch=256)
    def on_object_pushed(self, messages: list[ObjectPushed]) -> None:
        """Send objects to their nodes, until acknowledged."""
        for message in messages:
            if message.type == constants.NODE and message.operation == constants.DELETE:
                self.on_node_removed(NodeRemoved(node=message.node))
                continue
            session = self._send_down(message)
            if session is not None and session.is_acked(message) and acked_object(message):
                self.publish(ObjectAcked(node=session.node, pushed=message))

    @on
    def on_downstream_message(self, message: DownstreamMessage) -> None:
        """Send all other messages to their nodes. Undeliverable: nobody sends it again, and its node is not connected."""
        if isinstance(message, SENT_ONCE) and message.node not in self._sessions:
            raise Undeliverable(f"node {message.node} is not connected")
        self._send_down(message)

    @on(batch=256)
    def on_send_to_node(self, requests: list[SendToNode]) -> None:
        """Send a message of a module of one's own. One that is not kept is a dead letter when its node is not connected."""
        for request in requests:
            message = request.message
            if message.node in self._sessions:
                self._send_down(message)
            elif not request.kept:
                reason = "its connection has just ended"
                self.publish(MessageLost(node=message.node, reason=reason, message=message, sender=request.sender))

    def _send_down(self, message: LinkMessage) -> NodeSession | None:
        """Say it to its node. The session when it turns out to be old news there."""
        session = self._sessions.get(message.node)
        if session is None:
            self._traffic.count_outcome("dropped: node without session")
            return None
        if not message.timestamp:
            message = msgspec.structs.replace(message, timestamp=int(self.clock.now() * 1000))
        try:
            sending = session.send(message, self.clock.monotonic())
        except WireError as error:
            self._frames.on_failed(session, message, error)
            return None
        if sending is None:
            self._traffic.count_outcome("dropped: old news")
            return session
        self._frames.send(session, sending)
        if session.is_backlogged:
            self._close(session, "it acknowledges nothing")
        return None
