"""Traffic counters of the hub: messages and bytes by direction, module and kind; what was rejected, dropped, closed.

Counted by the hub and its link server's thread, read by whoever likes, from any thread: plain data for the control
socket and for metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from kubeedge_actors.actors.cloudhub.node_links import NodeLinks
from kubeedge_actors.actors.cloudhub.session import NodeSession
from kubeedge_actors.wire.beehive import Route
from kubeedge_actors.wire.resource import traffic_label

UP, DOWN = "up", "down"
MAX_KEYS = 500
"""Kinds that are told apart; what is beyond them counts as OTHER, whatever a node invents."""
OTHER = "other"
MAX_LABEL = 64
METRICS_INTERVAL = 5.0

Key = tuple[str, str, str]


class TrafficCounters:
    """Counters since the process began, two gauges: `sessions` and `pending` (messages not acknowledged yet), and the `links` of the nodes."""

    def __init__(self) -> None:
        self._messages: Counter[Key] = Counter()
        self._bytes: Counter[Key] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._others: dict[str, Counter[str]] = {}
        self.links = NodeLinks()
        self.sessions = 0
        self.pending = 0
        self._measure_at = 0.0

    def count(self, direction: str, route: Route, text: str, node: str = "") -> None:
        """Count a message, from or to a node; the overhead of WebSocket and TLS is not counted."""
        key = (direction, route.source[:MAX_LABEL], traffic_label(route)[:MAX_LABEL])
        if key not in self._bytes and len(self._bytes) >= MAX_KEYS:
            key = (direction, OTHER, OTHER)
        self._messages[key] += 1
        size = len(text) if text.isascii() else len(text.encode())
        self._bytes[key] += size
        self.links.count(direction, node, size)

    def measure(self, now: float, sessions: Collection[NodeSession]) -> None:
        """Look at the open sessions; at what waits in them every few seconds only."""
        self.sessions = len(sessions)
        if now >= self._measure_at:
            self._measure_at = now + METRICS_INTERVAL
            self.pending = sum(map(self.links.measure, sessions))

    def count_outcome(self, outcome: str) -> None:
        """Count an outcome: dropped, refused, repeated, closed ..."""
        self._outcomes[outcome] += 1

    def outcome_counter(self, module: str) -> Counter[str]:
        """The counter in which another module counts what it rejects and drops."""
        return self._others.setdefault(module, Counter())

    @property
    def outcomes(self) -> dict[str, int]:
        """How often each outcome was noted."""
        return dict(self._outcomes)

    def table(self) -> list[tuple[str, str, str, int, int]]:
        """Rows of direction, module, kind, messages, bytes; most bytes first."""
        rows = [(*key, self._messages[key], size) for key, size in dict(self._bytes).items()]
        return sorted(rows, key=lambda row: -row[4])

    def total(self, direction: str) -> tuple[int, int]:
        """Messages and bytes of one direction."""
        rows = [row for row in self.table() if row[0] == direction]
        return sum(row[3] for row in rows), sum(row[4] for row in rows)

    def snapshot(self) -> dict[str, dict[str, dict[str, int]]]:
        """{"up": {"<module>/<kind>": {"messages", "bytes"}}, "down": ...}, most bytes first."""
        found: dict[str, dict[str, dict[str, int]]] = {UP: {}, DOWN: {}}
        for direction, module, kind, messages, size in self.table():
            found[direction][f"{module}/{kind}"] = {"messages": messages, "bytes": size}
        return found

    def link_state(self) -> dict[str, Any]:
        """{"state": "serving", "sessions", "waiting", "outcomes": {"<what>: <why>": how often}}.

        What another module counts stands behind its name: "edgecontroller refused: QueryObject".
        """
        theirs = {
            f"{module} {what}": count
            for module, counts in self._others.items()
            for what, count in counts.copy().items()
        }
        outcomes = dict(sorted((self.outcomes | theirs).items()))
        return {"state": "serving", "sessions": self.sessions, "waiting": self.pending, "outcomes": outcomes}
