"""Events of supervision, delivered to subscribers in order, outside every lock."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from kubeedge_actors.supervisors.deadletters import DeadLetter, Reason

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that supervision decided. `at`: epoch seconds; `depth` and `oldest` (seconds): the mailbox at that
    moment.
    """

    name: str
    at: float
    depth: int = 0
    oldest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """The first incarnation is running; `duration`: seconds its start took."""

    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted(Event):
    """A new incarnation is running; `attempt` in a row, `duration` of the start, `downtime` since the last ended."""

    incarnation: int
    attempt: int
    duration: float
    downtime: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed(Event):
    """An incarnation crashed: in which phase (start, handle), on which type of message, after how many seconds."""

    incarnation: int
    error: str
    traceback: str
    phase: str
    message: str = ""
    duration: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hung(Event):
    """A handler ran past its deadline; `duration`: for how long when it was noticed."""

    incarnation: int
    message: str
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimedOut(Event):
    """A start hook has not returned after `duration` seconds: from now on nobody waits for it, and it goes on."""

    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated(Event):
    """A supervisor (`name`) saw more restarts than its intensity allows and gave up; `child` was the last straw."""

    child: str
    error: str
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """An actor or supervisor has stopped. `duration`: seconds from order to end; `left`: messages not handled."""

    reason: str
    duration: float = 0.0
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended(Event):
    """An actor was stopped because it harms others or hangs again and again; it stays so until it is resumed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflowed(Event):
    """An actor is too slow for what is published: `dropped` messages of a type within `duration` seconds; 0.0: this is the first.
    `refused`: they were asked, and who asked was told.
    """

    message: str
    dropped: int
    duration: float
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotKept(Event):
    """A durable mailbox, which holds so many bytes, does not take what it is told; once a minute while it lasts."""

    reason: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered(Event):
    """A message ended as a dead letter."""

    letter: DeadLetter


WARNED_OF = (Reason.UNDELIVERABLE, Reason.MALFORMED)
"""Reasons why messages are lost that somebody has to hear of."""
Subscriber = Callable[[Event], object]


def log_event(event: Event) -> None:
    """Write to the log what an operator should see."""
    if isinstance(event, Crashed):
        phase = f"handling {event.message}" if event.message else f"its {event.phase}"
        log.warning("%s crashed in %s: %s", event.name, phase, event.error)
        log.debug("%s", event.traceback)
    elif isinstance(event, Hung):
        phase = f"the handler of {event.message}" if event.message else "a hook"
        log.warning("%s is hung: %s has run for %.1f s and is abandoned", event.name, phase, event.duration)
    elif isinstance(event, StartTimedOut):
        log.warning(
            "%s has not started: its start has run for %.1f s; the others go on without it", event.name, event.duration
        )
    elif isinstance(event, Escalated):
        log.error(
            "%s gives up after %d restarts, the last of %s: %s", event.name, event.restarts, event.child, event.error
        )
    elif isinstance(event, Suspended):
        log.error("%s is suspended: %s", event.name, event.reason)
    elif isinstance(event, Overflowed):
        log.warning("%s", _too_slow(event))
    elif isinstance(event, NotKept):
        log.warning(
            "%s does not get what it is told: %s; %d messages wait (%d bytes)",
            event.name,
            event.reason,
            event.depth,
            event.bytes,
        )
    elif isinstance(event, DeadLettered):
        letter = event.letter
        loud = letter.failed_deliveries or letter.reason in WARNED_OF
        text = f"{letter.reason.value}: {letter.error}" if letter.reason in WARNED_OF else letter.reason.value
        sender = f" from {letter.sender}" if letter.sender else ""
        level = logging.WARNING if loud else logging.DEBUG
        log.log(level, "dead letter for %s%s: %s: %s", event.name, sender, type(letter.message).__name__, text)


def _too_slow(event: Overflowed) -> str:
    """What the log says of an actor that does not keep up."""
    lost = "questions are refused" if event.refused else "published messages are dropped"
    text = f"{event.name} is too slow: {event.depth} messages wait, the oldest for {event.oldest:.0f} s, so {lost}"
    if not event.duration:
        return f"{text} ({event.message})" if event.refused else f"{text}, the oldest first ({event.message})"
    return f"{text}: {event.dropped} {event.message} in {event.duration:.0f} s, {event.dropped / event.duration:.1f}/s"


class Events:
    """The stream of events of one actor system.

    `emit` may be called with locks held: it only appends. `flush` hands out, one thread at a time, so every subscriber
    sees all events in one order. A subscriber that raises is logged and goes on being told.
    """

    def __init__(self) -> None:
        self._pending: deque[Event] = deque()
        self._subscribers: tuple[Subscriber, ...] = ()
        self._flushing = threading.Lock()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have `subscriber(event)` called from now on; the returned function ends it. It should be brief."""
        self._subscribers = (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            self._subscribers = tuple(other for other in self._subscribers if other is not subscriber)

        return unsubscribe

    def emit(self, event: Event) -> None:
        """Queue an event; `flush` delivers it."""
        self._pending.append(event)

    def wait_delivered(self) -> None:
        """Return when everything emitted so far was handed out, whoever does it; not for a subscriber to call."""
        with self._flushing:
            while self._pending:
                self._dispatch(self._pending.popleft())
        self.flush()

    def flush(self) -> None:
        """Deliver queued events; returns at once when another thread (or this one, further up) is doing it."""
        while self._pending:
            if not self._flushing.acquire(blocking=False):
                return
            try:
                while self._pending:
                    self._dispatch(self._pending.popleft())
            finally:
                self._flushing.release()

    def _dispatch(self, event: Event) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except BaseException:
                log.exception("a subscriber of the supervision events failed on %s", type(event).__name__)
