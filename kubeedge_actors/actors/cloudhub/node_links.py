"""What is known of each node's link: since when it is up or down, how often it came, what went over it. Pure.

Told by the hub in its turns, read by whoever likes, from any thread.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.cloudhub.session import NodeSession
from kubeedge_actors.actors.cloudhub.upgrade_headers import is_native

MAX_LINKS = 20_000
"""Nodes that are remembered; of those that are away the one that left first is forgotten for a further one."""
UP = "up"
CONNECTED, DISCONNECTED = "connected", "disconnected"
NATIVE, GENUINE = "native", "genuine"


class NodeLink:
    """The link of one node. `since`: epoch seconds; `up` and `down`: bytes of frames; `sessions`: how many there were; `reason`: why the last one
    ended; `backlog`: messages that the node has not acknowledged.
    """

    __slots__ = ("address", "backlog", "down", "kind", "reason", "session", "sessions", "since", "up")

    def __init__(self) -> None:
        self.session: NodeSession | None = None
        self.since = 0.0
        self.sessions = self.up = self.down = self.backlog = 0
        self.address = self.kind = self.reason = ""

    def view(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "state": DISCONNECTED if self.session is None else CONNECTED,
            "since": self.since,
            "attempts": self.sessions,
            "up": self.up,
            "down": self.down,
            "backlog": self.backlog,
            "kind": self.kind,
            "address": self.address,
            "reason": self.reason,
        }


class NodeLinks:
    """The links of all nodes that have come since the process began."""

    def __init__(self) -> None:
        self._links: dict[str, NodeLink] = {}

    def on_opened(self, session: NodeSession, at: float) -> None:
        """A node has come; or the hub was restarted, and has a new session for the connection that the node had all the time."""
        link = self._links.pop(session.node, None) or NodeLink()
        self._links[session.node] = link  # the one that came last is the last one
        if link.session is None or link.session.peer.id != session.peer.id:
            link.since, link.reason = at, ""
            link.sessions += 1
        link.session = session
        link.address, link.kind = session.peer.address, NATIVE if is_native(session.peer) else GENUINE
        if len(self._links) > MAX_LINKS:
            gone = next((name for name, each in self._links.items() if each.session is None), None)
            if gone is not None:
                del self._links[gone]

    def on_closed(self, session: NodeSession, reason: str, at: float) -> None:
        """A session has ended; that counts unless a newer one is open."""
        link = self._links.get(session.node)
        if link is not None and link.session is session:
            link.session, link.since, link.reason, link.backlog = None, at, reason, 0

    def measure(self, session: NodeSession) -> int:
        """Look at how much waits for the acknowledgement of an open session's node; the same."""
        pending = session.pending
        link = self._links.get(session.node)
        if link is not None:
            link.backlog = pending
        return pending

    def count(self, direction: str, node: str, size: int) -> None:
        """A frame of so many bytes went `up` or `down`."""
        link = self._links.get(node)
        if link is None:
            return
        if direction == UP:
            link.up += size
        else:
            link.down += size

    def views(self) -> dict[str, dict[str, Any]]:
        """All of them by node."""
        return {node: link.view() for node, link in list(self._links.items())}
