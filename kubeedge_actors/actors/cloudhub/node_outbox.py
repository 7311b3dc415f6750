"""The actor NodeOutbox: what modules of one's own send to nodes waits here, in a file, until a native node has confirmed it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kubeedge_actors.actors.cloudhub.node_outbox_cursor import NodeOutboxCursor
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller
from kubeedge_actors.drivers.cluster.base import Cluster, EventType, InformerSet, InformerSpec, Json, WatchEvent
from kubeedge_actors.drivers.store.base import NodeBacklog, NodeOutboxRow, NodeOutboxStore
from kubeedge_actors.errors import AnswerLost, StoreError, WireError
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import NODE_KIND
from kubeedge_actors.module import on
from kubeedge_actors.outage_log import OncePerInterval
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, ReplyTo, Undeliverable
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    BusPublish,
    CustomMessage,
    MessageConfirmed,
    MessageLost,
    SendToNode,
    SessionClosed,
    SessionOpened,
)

MAX_MESSAGES, MAX_BYTES = 1_000, 8 << 20
"""What may wait for one node."""
MAX_MESSAGE = 1 << 20
"""Bytes of one message as JSON."""
LONGEST = 30 * 86_400.0
"""Seconds that a message may ask to wait."""
CHECK_SECONDS = 5.0
TURN_SECONDS = 0.125
BATCH = 256
GENUINE = "node {node} is a genuine edgecore, which does not know messages of one's own"
MessageForNode = BusPublish | CustomMessage
MAILBOX = 20_000


@dataclass(frozen=True, slots=True)
class WriteDue:
    """Messages wait to be written, together."""


@dataclass(frozen=True, slots=True)
class ExpiryCheckDue:
    """Timer: see what has waited too long, and what was not confirmed."""


@dataclass(frozen=True, slots=True)
class NextTurnDue:
    """Timer: the pace allows more to nodes that confirm nothing."""


@dataclass(slots=True)
class _Taken:
    """A message that is not in the file yet, and who wants to know when it is."""

    row: NodeOutboxRow
    message: MessageForNode
    reply_to: ReplyTo


class NodeOutboxState(InformerSet):
    """State of NodeOutbox that outlives its crashes: the informer of Nodes, the file, who is connected."""

    def __init__(self, cluster: Cluster, store: NodeOutboxStore) -> None:
        super().__init__(cluster, [InformerSpec(NODE_KIND, labels=well_known.EDGE_LABEL)])
        self.store = store
        self.nodes: set[str] = set()
        self.queues: dict[str, NodeOutboxCursor] = {}
        self.backlogs = store.backlogs()
        self.taken: list[_Taken] = []
        self.checked = False

    def node_objects(self) -> list[Json]:
        """The Nodes as last seen; none before the watch has begun. Any thread."""
        return self.all(NODE_KIND) if self.is_started else []


class NodeOutbox(Controller):
    """Takes messages for nodes, refuses those that can not arrive, keeps the others until they have arrived or expired.

    A node that confirms nothing gets each once, in order, at the pace of NodeOutboxCursor; what its pace holds back is kept, too.
    `address`: that of this cloud, as the annotation of Nodes has it.
    """

    name = constants.NODEOUTBOX
    group = constants.GROUP_HUB
    emits = (SendToNode, MessageLost, WriteDue, ExpiryCheckDue, NextTurnDue, *CONTROLLER_EMITS)

    def __init__(self, state: NodeOutboxState, address: str) -> None:
        super().__init__(state)
        self._state = state
        self._address = address
        self._warned = OncePerInterval()
        self._turn_comes = False

    @classmethod
    def spec_for(cls, state: NodeOutboxState, address: str) -> ChildSpec:
        """Its child spec; whoever made the state's store closes it."""
        return cls.spec(lambda: cls(state, address), mailbox=MailboxSpec(capacity=MAILBOX))

    def on_start(self) -> None:
        """Begin to watch Nodes; write what an incarnation before this one has taken."""
        super().on_start()
        self.every(CHECK_SECONDS, ExpiryCheckDue())
        self.tell(self.ref, WriteDue())
        self._await_turn(self._state.queues)

    # --- who there is -------------------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """A Node is there, or is gone."""
        name = change.object["metadata"]["name"]
        if change.type is not EventType.DELETED:
            self._state.nodes.add(name)
        else:
            self._state.nodes.discard(name)
            self._lose(self._state.store.of_node(name), "its Node was deleted")

    def on_changes_handled(self) -> None:
        """All Nodes are known for the first time: what waits for others waits in vain."""
        if self._state.synced and not self._state.checked:
            self._state.checked = True
            for node in [each for each in self._state.backlogs if not self._is_known(each)]:
                self._lose(self._state.store.of_node(node), "there is no Node of this name")

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """Send what waits, from the first on: whatever was under way on another connection may be lost."""
        self._state.queues[message.node] = NodeOutboxCursor(confirms=message.confirms)
        self._send([message.node])

    @on
    def on_session_closed(self, message: SessionClosed) -> None:
        """Send nothing more."""
        self._state.queues.pop(message.node, None)

    def _is_known(self, node: str) -> bool:
        return node in self._state.nodes or node in self._state.queues

    # --- taking ---------------------------------------------------------------------------------------------------------

    @on
    def on_message_for_node(self, message: MessageForNode) -> None:
        """Keep it for its node. Undeliverable: it can not arrive, whoever waits; an asker is answered when it is kept."""
        frame, sender = self._frame(message), self.context.sender
        row = NodeOutboxRow(message.node, message.msg_id, frame, self.clock.now() + message.expires, sender=sender)
        if reason := self._refusal(message.node, message.expires, row.size):
            raise Undeliverable(reason)
        queue = self._state.queues.get(message.node)
        if queue is not None and not queue.confirms:
            if isinstance(message, CustomMessage):
                raise Undeliverable(GENUINE.format(node=message.node))
            if message.node not in self._state.backlogs and queue.take_turn(self.clock.monotonic()):
                self.tell(constants.CLOUDHUB, SendToNode(message=message, kept=False, sender=sender))
                return
        backlog = self._state.backlogs.setdefault(message.node, NodeBacklog())
        backlog.count, backlog.size = backlog.count + 1, backlog.size + row.size
        self._state.taken.append(_Taken(row, message, self.reply_later()))
        if len(self._state.taken) == 1:
            self.tell(self.ref, WriteDue())
        elif len(self._state.taken) >= BATCH:
            self._write()
        if queue is None:
            self._warn_elsewhere(message.node)

    def _frame(self, message: MessageForNode) -> str:
        if not message.msg_id:
            raise Undeliverable("it has no msg_id")
        try:
            return beehive.encode(mapping.to_beehive(message, int(self.clock.now() * 1000)))
        except WireError as error:
            raise Undeliverable(f"it has no form on the wire: {error}") from error

    def _refusal(self, node: str, expires: float, size: int) -> str:
        """Why a message can not arrive; empty when it may."""
        if not node:
            return "it does not say for which node it is"
        if self._state.synced and not self._is_known(node):
            return f"no node is called {node!r}"
        if not (math.isfinite(expires) and 0 <= expires <= LONGEST):
            return f"it can not wait {expires} s: from 0 to {LONGEST:.0f}"
        if size > MAX_MESSAGE:
            return f"it has {size} bytes, {MAX_MESSAGE} at most are sent to a node"
        backlog = self._state.backlogs.get(node, NodeBacklog())
        if backlog.count >= MAX_MESSAGES or backlog.size + size > MAX_BYTES:
            return f"{backlog.count} messages ({backlog.size} bytes) wait for node {node} already"
        return ""

    def _warn_elsewhere(self, node: str) -> None:
        annotations = ((self.informers.get(NODE_KIND, "", node) or {}).get("metadata") or {}).get("annotations") or {}
        where = annotations.get(constants.CLOUDCORE_ANNOTATION, self._address)
        if where != self._address and self._warned.allow(node, self.clock.monotonic()):
            self.log.warning(
                "node %s was last connected to the cloud at %s: what is sent to it from here waits until it connects here",
                node,
                where,
            )

    @on
    def on_write_due(self, message: WriteDue) -> None:
        """Write all that was taken meanwhile, in one transaction."""
        self._write()

    def _write(self) -> None:
        taken, self._state.taken = self._state.taken, []
        if not taken:
            return
        try:
            twice = self._state.store.add([each.row for each in taken])
        except StoreError as error:
            self.log.warning("%d messages for nodes are lost: %s", len(taken), error)
            for each in taken:
                self._forget(each.row)
                self.publish(
                    MessageLost(node=each.row.node, reason=str(error), message=each.message, sender=each.row.sender)
                )
                each.reply_to.fail(AnswerLost(str(error)))
            return
        for row in twice:
            self._forget(row)
        for each in taken:
            each.reply_to.send()
        nodes = dict.fromkeys(each.row.node for each in taken)
        for node in nodes:
            if (queue := self._state.queues.get(node)) is not None:
                queue.on_rows_added()
        self._send(nodes)

    # --- sending ----------------------------------------------------------------------------------------------------------

    def _send(self, nodes: Collection[str]) -> None:
        said_once: list[NodeOutboxRow] = []
        for node in nodes:
            queue = self._state.queues.get(node)
            if queue is None or node not in self._state.backlogs:
                continue
            sent = self._send_rows(node, queue)
            said_once += [] if queue.confirms else sent
        if said_once:  # nobody will know more of them
            self._remove(said_once)
        self._await_turn(nodes)

    def _send_rows(self, node: str, queue: NodeOutboxCursor) -> list[NodeOutboxRow]:
        """Send what there is room for: those rows, and those that this node does not know."""
        now, sent = self.clock.monotonic(), []
        while room := queue.room(now):
            rows = self._state.store.of_node(node, queue.cursor, room)
            queue.on_sent(rows, room, now)
            sent += rows
            unknown_there = []
            for row in rows:
                message = mapping.from_beehive(beehive.decode(row.frame), node)
                if isinstance(message, CustomMessage) and not queue.confirms:
                    unknown_there.append(row)
                    continue
                queue.take_turn(now)  # of no effect where a node confirms
                self.tell(constants.CLOUDHUB, SendToNode(message=message, kept=queue.confirms, sender=row.sender))
            self._report_lost(unknown_there, GENUINE.format(node=node))
        return sent

    def _await_turn(self, nodes: Collection[str]) -> None:
        if not self._turn_comes and any(self._is_held_back(node) for node in nodes):
            self._turn_comes = True
            self.after(TURN_SECONDS, NextTurnDue())

    def _is_held_back(self, node: str) -> bool:
        queue = self._state.queues.get(node)
        return queue is not None and queue.held_back and node in self._state.backlogs

    @on
    def on_next_turn_due(self, message: NextTurnDue) -> None:
        """Send more to nodes that confirm nothing: all of it in one transaction."""
        self._turn_comes = False
        self._send([node for node in self._state.queues if self._is_held_back(node)])

    @on(batch=BATCH)
    def on_message_confirmed(self, messages: list[MessageConfirmed]) -> None:
        """Forget what has arrived, and send more."""
        arrived: dict[str, list[NodeOutboxRow]] = defaultdict(list)
        for message in messages:
            queue = self._state.queues.get(message.node)
            row = queue.on_confirmed(message.msg_id) if queue is not None else None
            if row is not None:
                arrived[message.node].append(row)
        self._remove([row for rows in arrived.values() for row in rows])
        self._send(arrived)

    def _remove(self, rows: Sequence[NodeOutboxRow]) -> bool:
        try:
            self._state.store.remove(rows)
        except StoreError as error:  # they are sent again, which a native node notices
            self.log.warning("%d messages that need not wait any more can not be removed: %s", len(rows), error)
            return False
        for row in rows:
            self._forget(row)
            if (queue := self._state.queues.get(row.node)) is not None:
                queue.on_confirmed(row.msg_id)
        return True

    def _forget(self, row: NodeOutboxRow) -> None:
        backlog = self._state.backlogs.get(row.node)
        if backlog is not None:
            backlog.count, backlog.size = backlog.count - 1, backlog.size - row.size
            if backlog.count <= 0:
                del self._state.backlogs[row.node]

    # --- giving up ----------------------------------------------------------------------------------------------------------

    @on
    def on_expiry_check_due(self, message: ExpiryCheckDue) -> None:
        """Give up what has expired; send again what was not confirmed."""
        while rows := self._state.store.expired(self.clock.now(), BATCH):
            if not self._lose(rows, "it has expired"):
                break
        now = self.clock.monotonic()
        self._send([node for node, queue in self._state.queues.items() if queue.rewind_if_due(now)])

    def _lose(self, rows: Sequence[NodeOutboxRow], reason: str) -> bool:
        """Make dead letters of them, unless they can not be removed."""
        if not self._remove(rows):
            return False
        self._report_lost(rows, reason)
        return True

    def _report_lost(self, rows: Sequence[NodeOutboxRow], reason: str) -> None:
        """Make dead letters of them and say so, once a minute for a node."""
        for row in rows:
            message = mapping.from_beehive(beehive.decode(row.frame), row.node)
            self.publish(MessageLost(node=row.node, reason=reason, message=message, sender=row.sender))
        for node in sorted({row.node for row in rows}):
            if self._warned.allow(f"{node} {reason}", self.clock.monotonic()):
                senders = [row.sender or "outside" for row in rows if row.node == node]
                said = ", ".join(sorted(set(senders)))
                self.log.warning(
                    "%d messages for node %s (from %s) will not arrive: %s", len(senders), node, said, reason
                )
