"""Detects two connections that fight for one node id. Pure: monotonic seconds come in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kubeedge_actors.outage_log import OncePerInterval

TAKEOVERS, WINDOW_SECONDS = 3, 300.0


@dataclass(slots=True)
class _Takeovers:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=TAKEOVERS))
    count: int = 0
    since: float = 0.0


class TakeoverDetector:
    """Counts takeovers per node and returns a warning when two edges seem to have one name."""

    def __init__(self) -> None:
        self._by_node: dict[str, _Takeovers] = {}
        self._warnings = OncePerInterval()

    def on_takeover(self, node: str, old: str, new: str, now: float) -> str | None:
        """A connection from `new` took the place of one from `old`. A warning, at most one a minute for a node."""
        self._forget(now)
        struggle = self._by_node.setdefault(node, _Takeovers(since=now))
        struggle.times.append(now)
        struggle.count += 1
        if len(struggle.times) < TAKEOVERS or not self._warnings.allow(node, now):
            return None
        return (
            f"node {node} was taken over {struggle.count} times in {max(1.0, now - struggle.since):.0f} s, now by {new} from "
            f"{old}: do two edges have this name, or does one come back again and again without having ended?"
        )

    def _forget(self, now: float) -> None:
        quiet = [node for node, struggle in self._by_node.items() if now - struggle.times[-1] > WINDOW_SECONDS]
        for node in quiet:
            del self._by_node[node]
