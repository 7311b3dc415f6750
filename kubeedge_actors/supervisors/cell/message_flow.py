"""Which messages an actor handles, how long they take, and who sends them: estimated from the turns that are timed anyway."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

WINDOW = 30.0
"""Seconds of one half of the time over which a rate is taken."""
SAMPLES = 64
"""Handling times kept of each type."""
MAX_TYPES, MAX_SENDERS = 32, 64
"""Types of one actor, and senders of one type, that are told apart: an edge counts its megabytes."""
OTHERS = "(others)"
"""The sender of what is beyond."""


class OtherTypes:
    """Stands for the types that are beyond MAX_TYPES."""


class Edge:
    """Messages of one type from one sender: how many, and the rate of late. Counts are weights: one that was timed may stand for 64."""

    __slots__ = ("_before", "_previous", "_since", "current", "until")

    def __init__(self, now: float) -> None:
        self._before, self._previous, self.current = 0, 0, 0
        self._since, self.until = now, now + WINDOW

    def turn_over(self, now: float) -> None:
        """The window is over: begin the next one."""
        late = now >= self.until + WINDOW
        self._before += self._previous + (self.current if late else 0)
        self._previous = 0 if late else self.current
        self.current = 0
        self._since = now if late else self.until
        self.until = self._since + WINDOW

    @property
    def count(self) -> int:
        """All of them."""
        return self._before + self._previous + self.current

    def rate(self, now: float) -> float:
        """Messages a second in this window and the one before; 0.0 when both are over."""
        if now >= self.until + WINDOW:
            return 0.0
        if now >= self.until:  # nothing has come since this window ended
            return self.current / (now - self._since)
        begun_before = WINDOW if self._previous else 0.0
        return (self._previous + self.current) / max(1.0, begun_before + now - self._since)


class TypeFlow:
    """The messages of one type: the newest handling times, and an Edge for each sender."""

    __slots__ = ("edges", "samples", "times")

    def __init__(self) -> None:
        self.samples = 0
        self.times = array("f", bytes(4 * SAMPLES))
        self.edges: dict[str, Edge] = {}

    def edge(self, sender: str, now: float) -> Edge:
        """The edge of a sender, in its present window."""
        if sender not in self.edges and len(self.edges) >= MAX_SENDERS:
            sender = OTHERS
        edge = self.edges.get(sender)
        if edge is None:
            edge = self.edges[sender] = Edge(now)
        elif now >= edge.until:
            edge.turn_over(now)
        return edge

    @property
    def count(self) -> int:
        """How many there were, about."""
        return sum(edge.count for edge in list(self.edges.values()))

    def quantile(self, share: float) -> float:
        """The handling time (seconds) that `share` of the newest samples do not exceed; there is one at least."""
        ordered = sorted(self.times[: min(self.samples, SAMPLES)])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class MessageFlow:
    """What is known of the messages of one actor. `record` is called by the actor's thread, the rest by any."""

    __slots__ = ("_types",)

    def __init__(self) -> None:
        self._types: dict[type, TypeFlow] = {}

    def record(self, message: object, sender: str, weight: int, seconds: float, now: float) -> None:
        """A turn was timed: it took `seconds` and stands for `weight` messages like this one. `now`: monotonic.

        >>> flow = MessageFlow()
        >>> for at in range(20): flow.record("text", "asker", 1, 0.001, float(at))
        >>> [(kind.__name__, each.count, round(each.edges["asker"].rate(20.0), 3)) for kind, each in flow.types()]
        [('str', 20, 1.0)]
        """
        flow = self._types.get(type(message))
        if flow is None:
            flow = self._add(type(message))
        flow.times[flow.samples % SAMPLES] = seconds
        flow.samples += 1
        edge = flow.edges.get(sender)
        if edge is None or now >= edge.until:
            edge = flow.edge(sender, now)
        edge.current += weight

    def types(self) -> Iterator[tuple[type, TypeFlow]]:
        """Each type that was seen, with what is known of it."""
        return iter(list(self._types.items()))

    def _add(self, message_type: type) -> TypeFlow:
        if len(self._types) >= MAX_TYPES:
            message_type = OtherTypes
        return self._types.setdefault(message_type, TypeFlow())
