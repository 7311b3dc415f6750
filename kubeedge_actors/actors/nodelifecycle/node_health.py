"""Last heartbeat of each node (Kubernetes node lifecycle controller: nodeHealthMap, monitorNodeHealth). Pure.

The times that a node writes are compared with each other only, never with a clock of ours: its clock may be wrong by years. A sign of life
is a lease with another renewTime, or a Ready condition with another lastHeartbeatTime (edges without leases).
"""

from __future__ import annotations

GRACE_PERIOD = 40.0
"""Seconds of silence after which a node counts as lost (source: Kubernetes' node-monitor-grace-period; 50 s since 1.32)."""


class NodeHealth:
    """Health of one node. `last_seen`: monotonic seconds of the last heartbeat; `unknown`: it was marked Unknown since."""

    __slots__ = ("heartbeat", "last_seen", "unknown")

    def __init__(self, heartbeat: str, now: float) -> None:
        self.heartbeat = heartbeat
        self.last_seen = now
        self.unknown = False

    def on_heartbeat(self, now: float) -> None:
        """A heartbeat was seen."""
        self.last_seen, self.unknown = now, False


class NodeHealthMap:
    """Health of all nodes; `grace` in seconds."""

    def __init__(self, grace: float = GRACE_PERIOD) -> None:
        self._grace = grace
        self._nodes: dict[str, NodeHealth] = {}
        self._renewed: dict[str, str] = {}

    def observe_node(self, name: str, heartbeat: str, now: float) -> bool:
        """A v1.Node was changed; `heartbeat` is empty when it has none. Returns whether it is a new heartbeat."""
        pulse = self._nodes.get(name)
        if pulse is None:
            self._nodes[name] = NodeHealth(heartbeat, now)
            return True
        if heartbeat in ("", pulse.heartbeat):
            return False
        pulse.heartbeat = heartbeat
        pulse.on_heartbeat(now)
        return True

    def observe_lease(self, name: str, renewed: str, now: float) -> bool:
        """A node's Lease was changed. Returns whether it is a new heartbeat."""
        if not renewed or self._renewed.get(name) == renewed:
            return False
        self._renewed[name] = renewed
        pulse = self._nodes.get(name)
        if pulse is not None:
            pulse.on_heartbeat(now)
        return True

    def forget_lease(self, name: str) -> None:
        """The Lease was deleted; the next one counts as a heartbeat in any case."""
        self._renewed.pop(name, None)

    def forget_node(self, name: str) -> None:
        """The node is gone."""
        self._nodes.pop(name, None)

    def is_expired(self, name: str, now: float) -> bool:
        """Whether the node's grace period is over."""
        pulse = self._nodes.get(name)
        return pulse is not None and now - pulse.last_seen > self._grace

    def newly_expired(self, now: float) -> list[str]:
        """The nodes whose grace period is over and that are not marked Unknown yet."""
        return [
            name for name, pulse in self._nodes.items() if not pulse.unknown and now - pulse.last_seen > self._grace
        ]

    def mark_unknown(self, name: str) -> None:
        """The node was marked Unknown."""
        if name in self._nodes:
            self._nodes[name].unknown = True

    def is_unknown(self, name: str) -> bool:
        """Whether it was marked Unknown and has been silent since."""
        return name in self._nodes and self._nodes[name].unknown

    def discount_outage(self, now: float) -> None:
        """The API was unreachable: do not count that time.

        Each node keeps the silence that it had when the outage began.
        """
        latest = max((pulse.last_seen for pulse in self._nodes.values()), default=now)
        for pulse in self._nodes.values():
            if not pulse.unknown:
                pulse.last_seen += now - latest
