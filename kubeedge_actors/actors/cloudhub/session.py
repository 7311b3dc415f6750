"""One connected node (KubeEdge: NodeSession). Pure: what happens comes in with its monotonic time, what to send goes
out.
"""

from __future__ import annotations

from kubeedge_actors.actors.cloudhub.ack_queue import AckQueue
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.wire import constants, resource
from kubeedge_actors.wire.ack_policy import ack_required
from kubeedge_actors.wire.messages import LinkMessage, MembershipDetail, ObjectPushed, Response

KEEPALIVE = 30.0
NATIVE_WINDOW = 16
MAX_WAITING = 20_000


class NodeSession:
    """The session of one connected node.

    `acknowledging`: the node wants its durable messages acknowledged, and is one of ours: several objects may be
    under way to it at once.
    """

    __slots__ = ("_ack_queue", "_keepalive", "acknowledging", "alive_until", "node", "peer")

    def __init__(
        self, node: str, peer: Peer, now: float, *, acknowledging: bool = False, keepalive: float = KEEPALIVE
    ) -> None:
        self.node = node
        self.peer = peer
        self.acknowledging = acknowledging
        self._keepalive = keepalive
        self._ack_queue = AckQueue(NATIVE_WINDOW if acknowledging else 1)
        self.alive_until = now + keepalive

    @property
    def next_due(self) -> float:
        """When `due` has something to do."""
        return self._ack_queue.next_due

    @property
    def pending(self) -> int:
        """How many messages are not acknowledged yet."""
        return len(self._ack_queue)

    @property
    def is_backlogged(self) -> bool:
        """True when too many messages wait for the node's acknowledgement."""
        return self._ack_queue.is_flooded or self._ack_queue.exceeds(MAX_WAITING)

    def send(self, message: LinkMessage, now: float) -> list[LinkMessage] | None:
        """Return the messages to send now; None if the node already has this version.

        Status-only pushes go to upstream edgecores only, membership lists to native edges only (an upstream cloud does
        not answer that request, and an upstream edge has the devices pushed).
        """
        if isinstance(message, ObjectPushed) and message.status_only and self.acknowledging:
            return []
        if isinstance(message, MembershipDetail) and not self.acknowledging:
            return []
        if not ack_required(message):
            return [message]
        return self._ack_queue.due(now) if self._ack_queue.enqueue(message) else None

    def is_acked(self, message: ObjectPushed) -> bool:
        """Whether the node has acknowledged this version of the object, or a newer one, in this session."""
        return self._ack_queue.is_acked(message)

    def on_keepalive(self, at: float) -> None:
        """A keepalive was received."""
        self.alive_until = max(self.alive_until, at + self._keepalive)

    def is_expired(self, now: float) -> bool:
        """True when no keepalive came in time."""
        return now >= self.alive_until

    def on_ack(self, ack: Response, now: float) -> tuple[LinkMessage | None, list[LinkMessage]]:
        """The message that this ack releases, and the messages to send next."""
        released = self._ack_queue.on_ack(ack.parent_msg_id)
        return released, self._ack_queue.due(now)

    def due(self, now: float) -> list[LinkMessage]:
        """The messages to send or resend now."""
        return self._ack_queue.due(now)

    def drop(self, message: LinkMessage, now: float) -> list[LinkMessage]:
        """Drop a message that can not be encoded; returns the messages to send instead."""
        self._ack_queue.drop(message)
        return self._ack_queue.due(now)


def acked_object(released: LinkMessage | None) -> ObjectPushed | None:
    """The object that a node has, now that it acknowledged this; None when it was no object of the cluster.

    An answer that held an object counts as the push of it: from now on the node has to be told when it changes.
    """
    if isinstance(released, ObjectPushed):
        # what programs of a node watch is theirs; nobody keeps a record of it
        return released if released.source != constants.SOURCE_DYNAMICCONTROLLER else None
    if not isinstance(released, Response) or released.group != constants.GROUP_RESOURCE:
        return None
    found = resource.try_parse(released.resource)
    content = released.content
    if found is None or not found.name or not released.resource_version or not isinstance(content, dict):
        return None
    return ObjectPushed(
        node=released.node,
        msg_id=released.msg_id,
        timestamp=released.timestamp,
        operation=constants.UPDATE,
        type=found.type,
        namespace=found.namespace,
        name=found.name,
        object=content,
        resource_version=released.resource_version,
        source=released.source,
    )
