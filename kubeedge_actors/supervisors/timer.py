"""Timers: messages that an actor sends itself later."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from kubeedge_actors.supervisors.envelope import Envelope, Receive
from kubeedge_actors.supervisors.mailbox import Mailbox


class Timer(ABC):
    """A message that an actor sends itself once or periodically; it belongs to one incarnation and ends with it.

    At most one of its messages is in the mailbox: a slow actor gets one tick, not a heap of them.
    """

    __slots__ = ("cancelled",)

    def __init__(self, *, cancelled: bool) -> None:
        self.cancelled = cancelled

    @abstractmethod
    def cancel(self) -> None:
        """Cancel it; a message that is queued already is not delivered either. Harmless when it is over."""


class TimerOwner(Protocol):
    """The incarnation, as its timers see it. `timers`: those that may still come; `revoked`: it was replaced."""

    name: str
    mailbox: Mailbox
    timers: set[LocalTimer]
    revoked: bool

    @property
    def is_stopping_or_stopped(self) -> bool: ...
    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]: ...


class LocalTimer(Timer):
    """A timer of the engine that puts its message into the owner's mailbox."""

    __slots__ = ("_cancel", "_message", "_owner", "_queued", "due", "interval")

    def __init__(self, owner: TimerOwner, seconds: float, message: object, *, repeat: bool) -> None:
        super().__init__(cancelled=owner.revoked)
        self._owner, self._message = owner, message
        self.interval = seconds if repeat else None
        """Seconds from one message to the next; None: there is one."""
        self.due = owner.mailbox.now() + seconds
        """When it comes next (monotonic)."""
        self._queued = False
        if not self.cancelled:
            owner.timers.add(self)
            self._cancel = owner.call_later(seconds, self._fire)

    @property
    def message_type(self) -> str:
        """The name of the type of what it sends."""
        return type(self._message).__name__

    @property
    def is_over(self) -> bool:
        """True when it was cancelled, or came for the last time."""
        return self not in self._owner.timers

    def cancel(self) -> None:
        """Cancel what the engine still has to call."""
        if not self.cancelled:
            self.cancelled = True
            self._cancel()
            self._owner.timers.discard(self)

    def _fire(self) -> None:
        owner = self._owner
        if self.cancelled or owner.is_stopping_or_stopped:
            return
        if self.interval is not None:
            self.due = owner.mailbox.now() + self.interval
            self._cancel = owner.call_later(self.interval, self._fire)
        if not self._queued:
            self._queued = True
            owner.mailbox.enqueue_over_capacity(Envelope(self._message, owner.name, owner.mailbox.now(), self))

    def is_cancelled(self, incarnation: object) -> bool:
        """True when it was cancelled while queued, by its actor or by the end of its incarnation."""
        return self.cancelled

    def handle(self, receive: Receive, message: object) -> object:
        """Let the actor handle the message."""
        self._queued = False
        if self.interval is None:
            self._owner.timers.discard(self)
        return receive(message)

    def complete(self, result: object) -> None:
        """Nobody waits for the result."""

    def discard(self, error: Exception) -> bool:
        """Nobody else knew of the message; a later one may come."""
        self._queued = False
        return False

    def for_redelivery(self) -> None:
        """It crashed its incarnation: from now on it is a message like any other, bound to no timer (so: None)."""
