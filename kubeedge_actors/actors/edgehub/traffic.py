"""Traffic counters: messages and bytes by direction, module and kind of resource."""

from __future__ import annotations

from collections import Counter

import msgspec

from kubeedge_actors.wire.beehive import Route
from kubeedge_actors.wire.resource import traffic_label

UP, DOWN = "up", "down"
MAX_KEYS = 500
"""Kinds that are told apart; what is beyond them counts as OTHER, whatever a cloud invents."""
OTHER, MALFORMED = "other", "malformed"


class _Routed(msgspec.Struct):
    """As much of a frame as has to be read to know what it is."""

    route: Route = Route()


_decode = msgspec.json.Decoder(_Routed).decode


class TrafficCounters:
    """Counted by the hub, read from any thread."""

    def __init__(self) -> None:
        self._messages: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()

    def count(self, direction: str, frame: str) -> None:
        """One frame; what WebSocket and TLS add is not counted."""
        key = (direction, frame_label(frame))
        if key not in self._bytes and len(self._bytes) >= MAX_KEYS:
            key = (direction, OTHER)
        self._messages[key] += 1
        self._bytes[key] += len(frame) if frame.isascii() else len(frame.encode())

    def snapshot(self) -> dict[str, dict[str, dict[str, int]]]:
        """{"up": {"<module>/<kind>": {"messages", "bytes"}}, "down": ...}, most bytes first."""
        found: dict[str, dict[str, dict[str, int]]] = {UP: {}, DOWN: {}}
        for (direction, about), size in sorted(dict(self._bytes).items(), key=lambda each: -each[1]):
            found[direction][about] = {"messages": self._messages[direction, about], "bytes": size}
        return found


def frame_label(frame: str) -> str:
    """Module and kind of resource of a frame.

    >>> frame_label('{"route":{"source":"edged","operation":"update","resource":"kube-node-lease/lease/edge-1"}}')
    'edged/lease'
    """
    try:
        route = _decode(frame).route
    except (msgspec.MsgspecError, UnicodeError):
        return MALFORMED
    return f"{route.source}/{traffic_label(route)}"
