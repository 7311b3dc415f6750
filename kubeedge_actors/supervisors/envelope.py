"""An envelope: a message in a mailbox, with sender, time and delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

Receive = Callable[[object], object]
"""The `receive` of the instance that handles the message."""


class Delivery(Protocol):
    """What makes an envelope more than a plain tell: a reply that is owed, a timer, a continuation."""

    def is_cancelled(self, incarnation: object) -> bool:
        """True when this incarnation must not handle it any more (a cancelled timer)."""

    def handle(self, receive: Receive, message: object) -> object:
        """Handle it; the result goes to `complete` once the turn counts."""

    def complete(self, result: object) -> None:
        """The turn is over and counts; this is its result."""

    def for_redelivery(self) -> Delivery | None:
        """The turn failed and the message will be delivered again: what is attached to it then."""

    def discard(self, error: Exception) -> bool:
        """It will never be handled. True when it was a message of somebody's, to be a dead letter."""


class Envelope(msgspec.Struct):
    """A message, who told it (a name, empty from outside), when (monotonic), what hangs on it, how often it crashed its
    actor.

    `alone`: it was in a batch that failed, nobody knows through which message; each is now handed over on its own.
    `counted`: a crash on it has been counted towards the intensity of the actor's supervisor: one message is one failure.
    `published`: it was told to whoever accepts its type, so nobody waits for this actor.
    `trace`: of the message that led to it, when somebody follows that (tracing.py).
    """

    message: object
    sender: str = ""
    at: float = 0.0
    delivery: Delivery | None = None
    failed_deliveries: int = 0
    alone: bool = False
    counted: bool = False
    published: bool = False
    trace: str = ""


class DurableEnvelope(Envelope):
    """An envelope whose message is in the journal: its number there, and how many bytes it has."""

    seq: int = 0
    size: int = 0
