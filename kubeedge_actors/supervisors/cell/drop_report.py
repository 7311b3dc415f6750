"""What a slow actor did not get to: counted, and told once a minute for each type of message instead of once for each message."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import Reason, payload_text
from kubeedge_actors.supervisors.envelope import Envelope

INTERVAL = 60.0
"""Seconds from one report to the next."""
RECENT = 10.0
"""Seconds after the last dropped message for which an actor is said to drop them."""


@dataclass(slots=True)
class Dropped:
    """Messages of one type that were dropped, or refused to who asked, since the last report."""

    first: Envelope
    last: Envelope
    count: int = 1


class DropReportOwner(Protocol):
    """The cell, as its report sees it."""

    name: str
    clock: Clock

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]: ...
    def deciding(self) -> Any: ...
    def emit(self, kind: type[events.Event], **facts: Any) -> None: ...
    def to_dead_letters(self, envelope: Envelope, reason: Reason, error: str = "", traceback: str = "") -> None: ...


class DropReporter:
    """Collects dropped messages of one actor. The first one is told of at once, the rest `INTERVAL` seconds later, and so on while it lasts."""

    __slots__ = ("_cell", "_dropped", "_last", "_lock", "_rate", "_since")

    def __init__(self, cell: DropReportOwner) -> None:
        self._cell = cell
        self._lock = threading.RLock()
        self._dropped: dict[tuple[type, Reason], Dropped] = {}
        self._since: float | None = None
        """When the report that runs began (monotonic); None: nothing was dropped for a while."""
        self._last = float("-inf")
        """When the last message was dropped (monotonic)."""
        self._rate = 0.0
        """Dropped messages a second, in the report before."""

    def record(self, envelope: Envelope) -> None:
        """One more was dropped; called by whoever published or asked, who is held up as little as possible. Who asked is told."""
        kind, reason = type(envelope.message), Reason.DROPPED_OLDEST
        if envelope.delivery is not None:
            reason = Reason.MAILBOX_FULL
            envelope.delivery.discard(reason.as_error(self._cell.name))
        with self._lock:
            self._last = self._cell.clock.monotonic()
            dropped = self._dropped.get((kind, reason))
            if dropped is not None:
                dropped.last, dropped.count = envelope, dropped.count + 1
            else:
                self._dropped[kind, reason] = Dropped(envelope, envelope)
            begins = self._since is None
            if begins:
                self._since = self._last
        if begins:
            with self._cell.deciding():
                refused = reason is Reason.MAILBOX_FULL
                self._cell.emit(events.Overflowed, message=kind.__name__, dropped=1, duration=0.0, refused=refused)
            self._cell.call_later(INTERVAL, self._tell)

    def rate(self) -> float | None:
        """Messages dropped a second; None when none was dropped of late."""
        with self._lock:
            now, since = self._cell.clock.monotonic(), self._since
            if since is None or now - self._last > RECENT:
                return None
            count = sum(each.count for each in self._dropped.values())
            return self._rate if self._rate and now - since < 1.0 else count / max(1.0, now - since)

    def flush(self) -> None:
        """Tell of what was dropped until now: the actor has ended."""
        with self._lock:
            dropped, self._dropped = self._dropped, {}
            now = self._cell.clock.monotonic()
            spent = now - (now if self._since is None else self._since)
            self._since = now if dropped else None
            self._rate = sum(each.count for each in dropped.values()) / max(1.0, spent)
        for (kind, reason), each in dropped.items():
            with self._cell.deciding():
                facts = {"message": kind.__name__, "dropped": each.count, "duration": spent}
                self._cell.emit(events.Overflowed, refused=reason is Reason.MAILBOX_FULL, **facts)
            self._cell.to_dead_letters(each.first, reason, _sentence(kind, reason, each, spent))

    def _tell(self) -> None:
        self.flush()
        if self._since is not None:
            self._cell.call_later(INTERVAL, self._tell)


def _sentence(kind: type, reason: Reason, dropped: Dropped, spent: float) -> str:
    done = "dropped" if reason is Reason.DROPPED_OLDEST else "refused to who asked"
    text = f"{dropped.count} {kind.__name__} {done} within {spent:.0f} s because the mailbox was full"
    return (
        text if dropped.count == 1 else f"{text}; this is the first, the last was {payload_text(dropped.last.message)}"
    )
