"""Which messages are followed, what was seen of them, and who wants to hear."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from kubeedge_actors.supervisors import ActorSystem
from kubeedge_actors.supervisors.telemetry.tracing import Span, Tracer

KEPT = 1_000
BELONGING = 10_000
"""Traces that one who follows knows; the oldest is forgotten for a further one."""
SHOWN = 30
IDS = ("msg_id", "parent_msg_id")
EVERY = "*"


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which messages begin a trace; empty: any but the ticks of timers, which have to be asked for by their type."""

    actor: str = ""
    type: str = ""

    def matches(self, recipient: str, message: object, own: bool) -> bool:
        """Whether this message does; `own`: a timer's, or an answer."""
        kind = type(message).__name__ == self.type if self.type else not own
        return kind and self.actor in ("", recipient)


class TraceMatcher:
    """What belongs to one id: the hops of that trace, and of every trace in which a message calls itself so."""

    def __init__(self, message_id: str, filter: TraceFilter) -> None:
        self._wanted = message_id
        self._filter = filter
        self._ids: dict[str, None] = {}

    def matches(self, span: Span) -> bool:
        """Whether the hop belongs to it; the next ones of its trace do then."""
        if self._wanted == EVERY:
            begins = self._filter.actor in ("", span.recipient) and self._filter.type in ("", span.type)
            if begins:
                self._belongs(span.trace)
            return span.trace in self._ids
        names = (span.trace, *span.message_ids)
        if self._wanted not in names and self._ids.keys().isdisjoint(names):
            return False
        self._belongs(span.trace)
        return True

    def _belongs(self, trace: str) -> None:
        if trace not in self._ids and len(self._ids) >= BELONGING:
            del self._ids[next(iter(self._ids))]
        self._ids[trace] = None


class MessageTracer:
    """Follows messages as long as somebody wants it: a switch that is on, or a stream that is open."""

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._switching = threading.Lock()
        """Held while it is decided whether to follow, which takes the runtime's lock: so never while a hop is taken in."""
        self._lock = threading.Lock()
        self._filters: list[TraceFilter] = []
        self._switched: TraceFilter | None = None
        self._spans: deque[Span] = deque(maxlen=KEPT)
        self._listeners: tuple[Callable[[Span], object], ...] = ()
        self._tracer = Tracer(system.clock, self._take, self._wants, _names)

    def switch(self, on: bool, actor: str = "", type: str = "") -> None:
        """Follow messages until it is switched off; what was seen is forgotten then."""
        with self._switching:
            if self._switched is not None:
                self._filters.remove(self._switched)
                self._switched = None
            if on:
                self._switched = TraceFilter(actor, type)
                self._filters.append(self._switched)
            self._look()

    def state(self) -> dict[str, Any]:
        """Whether messages are followed, and the last of them: where each began, how many hops it had, how long it took."""
        with self._lock:
            spans = list(self._spans)
        on, switched = bool(self._filters), self._switched
        traces: OrderedDict[str, list[Span]] = OrderedDict()
        for span in spans:
            traces.setdefault(span.trace, []).append(span)
        recent = [_summary(trace) for trace in list(traces.values())[-SHOWN:]]
        chosen = {} if switched is None else asdict(switched)
        return {"on": on, **chosen, "recent": recent}

    def listen(self, message_id: str, actor: str, type: str, hear: Callable[[Span], object]) -> Callable[[], None]:
        """Have `hear` called with each hop of that id (`*`: of any) that was seen and that will be; the returned function ends it."""
        filter = TraceFilter(actor, type)
        matcher = TraceMatcher(message_id, filter)

        def take(span: Span) -> None:
            if matcher.matches(span):
                hear(span)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(listener for listener in self._listeners if listener is not take)
            with self._switching:
                if filter in self._filters:
                    self._filters.remove(filter)
                self._look()

        with self._lock:
            for span in _of(matcher, list(self._spans)) if message_id != EVERY else ():
                hear(span)
            self._listeners = (*self._listeners, take)
        with self._switching:
            self._filters.append(filter)
            self._look()
        return end

    def close(self) -> None:
        """Follow nothing more."""
        with self._switching:
            self._filters.clear()
            self._look()

    def _look(self) -> None:
        tracer = self._tracer if self._filters else None
        if self._system.tracer is not tracer:
            self._system.set_tracer(tracer)
        if tracer is None:
            with self._lock:
                self._spans.clear()

    def _wants(self, recipient: str, message: object, own: bool) -> bool:
        return any(filter.matches(recipient, message, own) for filter in list(self._filters))

    def _take(self, span: Span) -> None:
        with self._lock:  # a listener hears each hop once, in one order
            self._spans.append(span)
            for listener in self._listeners:
                listener(span)


def _of(matcher: TraceMatcher, spans: list[Span]) -> list[Span]:
    """The hops that belong to it; twice, because what led to a message is seen after it."""
    for span in spans:
        matcher.matches(span)
    return sorted((span for span in spans if matcher.matches(span)), key=lambda span: span.sent_at)


def _names(message: object) -> tuple[str, ...]:
    """The ids by which KubeEdge's messages know each other."""
    return tuple(
        message_id
        for message_id in (getattr(message, name, "") for name in IDS)
        if isinstance(message_id, str) and message_id
    )


def _summary(spans: list[Span]) -> dict[str, Any]:
    first = min(spans, key=lambda span: span.sent_at)
    over = max(span.sent_at + span.queue_seconds + span.handling_seconds for span in spans)
    bad = next((span.outcome for span in spans if span.outcome.startswith(("crashed", "dead"))), "")
    return {
        "id": first.trace,
        "told": first.sent_at,
        "from": first.sender,
        "to": first.recipient,
        "type": first.type,
        "hops": len(spans),
        "took": over - first.sent_at,
        "trouble": bad,
    }
