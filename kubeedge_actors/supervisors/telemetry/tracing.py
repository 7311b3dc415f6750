"""Tracing: who sent whom what, how long it waited, how long it took, how it ended.

A message that is followed has a trace id; what is told while it is handled carries the same id. While tracing is off it
costs nothing per message: only traced mailboxes leave the fast path of Ref.tell.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kubeedge_actors.supervisors.actor import Unhandled
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.future import Future, LocalReplyTo

Complete = Callable[[], object]

CLOCK_SET = 1.0
"""Seconds by which the wall clock has to differ to count as set: less may be a thread that had to wait between two looks."""


@dataclass(frozen=True, slots=True)
class Span:
    """One hop of a traced message: at one actor, or its end as a dead letter.

    `trace`: shared by all that one message led to; `message_ids`: what the message calls itself. `sent_at`: epoch seconds; `queue_seconds` in the mailbox
    and `handling_seconds` to be handled: seconds. `delivery`: 1, more after a crash. `outcome`: handled, answered, "crashed: ...", "dead letter: ...".
    """

    trace: str
    message_ids: tuple[str, ...]
    sender: str
    recipient: str
    type: str
    sent_at: float
    queue_seconds: float
    handling_seconds: float
    delivery: int
    outcome: str


class Tracer:
    """Tags messages on their way into a mailbox and reports each hop to `report`, which is called from any thread and has to be brief.

    `sampler(recipient, message, own)`: whether a message that nothing led to begins a trace; `own`: it is a timer's, or an answer.
    `message_ids(message)`: the ids that a message has of its own.
    A tagged message is handled alone, never in a batch, so that what it led to is known.
    """

    def __init__(
        self,
        clock: Clock,
        report: Callable[[Span], object],
        sampler: Callable[[str, object, bool], bool],
        message_ids: Callable[[object], tuple[str, ...]],
        prefix: str = "t",
    ) -> None:
        self._clock = clock
        self._report = report
        self._sampler = sampler
        self._message_ids = message_ids
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._here = threading.local()
        self._epoch = clock.now() - clock.monotonic()

    def tag(self, recipient: str, envelope: Envelope) -> None:
        """Give an envelope its trace id: that of the message in hand, or a new one; none when nobody wants it."""
        if not envelope.trace:
            envelope.trace = self._current()
        own = envelope.delivery is not None and type(envelope.delivery) is not LocalReplyTo
        if not envelope.trace and self._sampler(recipient, envelope.message, own):
            envelope.trace = f"{self._prefix}{next(self._numbers)}"
        if envelope.trace:
            envelope.alone = True

    def handle(
        self, name: str, handle: Callable[[Envelope], tuple[int, Complete]], envelope: Envelope
    ) -> tuple[int, Complete]:
        """Have `handle` handle the envelope for the actor called `name`, and report how that went: now if it crashed, else
        when the turn counts.
        """
        before, began = self._current(), self._clock.monotonic()
        self._here.trace = envelope.trace
        try:
            count, complete = handle(envelope)
        except BaseException as error:
            self._report_span(name, envelope, began, _failure(error))
            self._here.trace = before
            raise
        if not count or not envelope.trace:
            self._here.trace = before
            return count, complete
        return count, partial(self._complete, name, envelope, began, complete, before)

    def _complete(self, name: str, envelope: Envelope, began: float, complete: Complete, before: str) -> None:
        spent = self._clock.monotonic() - began
        complete()
        self._report_span(
            name, envelope, began, "answered" if type(envelope.delivery) is LocalReplyTo else "handled", spent
        )
        self._here.trace = before

    def _report_span(
        self, name: str, envelope: Envelope, began: float, outcome: str, spent: float | None = None
    ) -> None:
        if not envelope.trace:
            return
        now = self._clock.monotonic()
        span = Span(
            trace=envelope.trace,
            message_ids=self._message_ids(envelope.message),
            sender=envelope.sender,
            recipient=name,
            type=_type(envelope.message),
            sent_at=self._wall_time(envelope.at),
            queue_seconds=max(0.0, began - envelope.at),
            handling_seconds=now - began if spent is None else spent,
            delivery=envelope.failed_deliveries + 1,
            outcome=outcome,
        )
        self._report(span)

    def _wall_time(self, at: float) -> float:
        """Epoch seconds of a moment of the monotonic clock: of two moments the earlier one is the lower number."""
        epoch = self._clock.now() - self._clock.monotonic()
        if abs(epoch - self._epoch) > CLOCK_SET:
            self._epoch = epoch
        return self._epoch + at

    def on_dead_letter(
        self, recipient: str, message: object, reason: Reason, sender: str, failed_deliveries: int, trace: str
    ) -> None:
        """Report that a followed message became a dead letter."""
        trace = trace or self._current()
        if trace:
            outcome = f"dead letter: {reason.value}"
            names, now = self._message_ids(message), self._clock.now()
            self._report(
                Span(trace, names, sender, recipient, _type(message), now, 0.0, 0.0, failed_deliveries, outcome)
            )

    def _current(self) -> str:
        return getattr(self._here, "trace", "")


def _failure(error: BaseException) -> str:
    return "not handled" if isinstance(error, Unhandled) else f"crashed: {type(error).__name__}"


def _type(message: object) -> str:
    return f"answer of {message.responder}" if isinstance(message, Future) else type(message).__name__
