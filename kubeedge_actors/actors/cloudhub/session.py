"""What the hub knows of one joined node. Pure: what happens comes in with its monotonic time, what to send goes out."""

from __future__ import annotations

from kubeedge_actors.actors.cloudhub.outbox import Outbox
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.wire.delivery import needs_ack
from kubeedge_actors.wire.messages import Answered, MembershipDetailed, ObjectPushed, Said

KEEPALIVE = 30.0
OUR_WINDOW = 16
MAX_WAITING = 20_000


class Session:
    """One node, one connection.

    `acknowledging`: the node wants its durable messages acknowledged, and is one of ours: several objects may be
    under way to it at once.
    """

    __slots__ = ("_keepalive", "_outbox", "acknowledging", "alive_until", "node", "peer")

    def __init__(
        self, node: str, peer: Peer, now: float, *, acknowledging: bool = False, keepalive: float = KEEPALIVE
    ) -> None:
        self.node = node
        self.peer = peer
        self.acknowledging = acknowledging
        self._keepalive = keepalive
        self._outbox = Outbox(OUR_WINDOW if acknowledging else 1)
        self.alive_until = now + keepalive

    @property
    def deadline(self) -> float:
        """When `tick` has something to do."""
        return self._outbox.deadline

    @property
    def waiting(self) -> int:
        """How many messages are not acknowledged yet."""
        return len(self._outbox)

    @property
    def overdue(self) -> bool:
        """True when the node asks and asks and acknowledges nothing."""
        return len(self._outbox) > MAX_WAITING

    def say(self, message: Said, now: float) -> list[Said] | None:
        """What to send now that this is to be said; None when it is old news.

        Two things are said to one sort of edge only: echoes to a genuine one, the list of its devices to one of ours
        (a genuine cloud does not answer that question, and a genuine edge has the devices pushed).
        """
        if isinstance(message, ObjectPushed) and message.echo and self.acknowledging:
            return []
        if isinstance(message, MembershipDetailed) and not self.acknowledging:
            return []
        if not needs_ack(message):
            return [message]
        return self._outbox.due(now) if self._outbox.put(message) else None

    def has(self, message: ObjectPushed) -> bool:
        """Whether the node has acknowledged this version of the object, or a newer one, in this session."""
        return self._outbox.has(message)

    def heard(self, at: float) -> None:
        """A heart-beat came."""
        self.alive_until = max(self.alive_until, at + self._keepalive)

    def expired(self, now: float) -> bool:
        """True when no heart-beat came for too long."""
        return now >= self.alive_until

    def acknowledged(self, ack: Answered, now: float) -> tuple[Said | None, list[Said]]:
        """What was released by this acknowledgement, and what to send next."""
        released = self._outbox.acknowledged(ack.parent_msg_id)
        return released, self._outbox.due(now)

    def tick(self, now: float) -> list[Said]:
        """What to send again, or in its turn."""
        return self._outbox.due(now)

    def give_up(self, message: Said, now: float) -> list[Said]:
        """A message can not be written: what to send instead."""
        self._outbox.drop(message)
        return self._outbox.due(now)
