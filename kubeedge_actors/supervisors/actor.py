"""What people subclass, and what the actor sees of the world."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeedge_actors.errors import AnswerLost, Stopped
from kubeedge_actors.supervisors.envelope import Envelope, Promise, Reply
from kubeedge_actors.supervisors.strategy import Ending

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell
    from kubeedge_actors.supervisors.clock import Clock
    from kubeedge_actors.supervisors.ref import Ref


class Unhandled(Exception):
    """The actor does not handle this message: it becomes a dead letter, and that is no crash."""


class Actor:
    """A thing that handles one message at a time. Its hooks run on the actor's own thread; what they raise is contained."""

    context: Context

    def on_start(self) -> None:
        """Called before the first message of each incarnation; raising is a crash."""

    def receive(self, message: object) -> object:
        """Handle one message; the return value answers an ask."""
        raise Unhandled(f"{type(self).__name__} does not handle {type(message).__name__}")

    def batch(self, message_type: type) -> int:
        """How many queued messages of this type, one behind the other, `receive_batch` takes at once; 1: none."""
        return 1

    def receive_batch(self, messages: list[Any]) -> list[object] | None:
        """Handle messages of one type; the answers, one for each, or None."""
        raise Unhandled(f"{type(self).__name__} does not handle batches of {type(messages[0]).__name__}")

    def on_stop(self) -> None:
        """Called once for each instance whose `on_start` was entered, after a crash as well."""


class Incarnation:
    """One life of an actor: the instance, its context, its turn. Who holds the cell's current one may take messages."""

    __slots__ = (
        "__weakref__", "actor", "attempt", "began", "context", "ending", "lost", "number", "owed", "receive", "revoked",
        "sizes", "timers", "turn", "turns",
    )  # fmt: skip

    def __init__(self, cell: Cell, number: int, attempt: int) -> None:
        self.number = number
        self.attempt = attempt
        self.actor: Actor | None = None
        self.context = Context(cell, self)
        self.receive: Callable[[object], object] = _no_instance
        self.sizes: dict[type, int] | None = None
        self.turn: Envelope | list[Envelope] | None = None
        self.turns = 0
        self.began = 0.0
        self.ending: Ending | None = None
        # a lease: `revoked` asks the holder to look, `lost` says that it may not go on
        self.revoked = False
        self.lost = False
        self.timers: set[Timer] = set()
        self.owed: weakref.WeakSet[Reply] = weakref.WeakSet()


def _no_instance(message: object) -> object:
    raise Stopped("the actor was never made")


class Timer:
    """A message that comes back to its actor later, once or again and again. Belongs to one incarnation."""

    __slots__ = ("_cell", "_give_up", "_interval", "_message", "_one", "cancelled", "queued")

    def __init__(self, cell: Cell, one: Incarnation, seconds: float, message: object, *, repeat: bool) -> None:
        self._cell, self._one, self._message = cell, one, message
        self._interval = seconds if repeat else None
        self.cancelled = False
        self.queued = False
        one.timers.add(self)
        self._give_up = cell.engine.call_later(seconds, self._fire)

    def cancel(self) -> None:
        """Not again; one that is queued is not delivered either. Harmless when it is over."""
        self.cancelled = True
        self._give_up()
        self._one.timers.discard(self)

    def _fire(self) -> None:
        if self.cancelled:
            return
        if self._interval is not None:
            self._give_up = self._cell.engine.call_later(self._interval, self._fire)
        if not self.queued:  # a slow actor gets one tick, not a heap of them
            self.queued = True
            self._cell.admit(Envelope(self._message, self._cell.name, self._cell.box.now(), self))

    def stale(self, incarnation: Incarnation) -> bool:
        """True when it was cancelled while queued, which a crash does too."""
        return self.cancelled

    def perform(self, incarnation: Incarnation, message: object) -> object:
        """Let the actor handle the message."""
        self.queued = False
        if self._interval is None:
            incarnation.timers.discard(self)
        return incarnation.receive(message)

    def settle(self, result: object) -> None:
        """Nobody waits for the result."""

    def lose(self, error: Exception) -> None:
        """Nobody waits for the result."""


class Context:
    """The world as one incarnation of an actor sees it."""

    __slots__ = ("_cell", "_one", "clock", "log", "name", "ref")

    def __init__(self, cell: Cell, one: Incarnation) -> None:
        self._cell, self._one = cell, one
        self.name: str = cell.name
        self.ref: Ref = cell.ref
        self.clock: Clock = cell.clock
        self.log: logging.Logger = cell.log

    def tell(self, to: str | Ref, message: object) -> None:
        """Tell somebody, by name or Ref. An unknown name is a dead letter, never an exception."""
        ref = self._cell.find(to, message) if isinstance(to, str) else to
        if self._one.lost:
            self._cell.speak_late(to, message)
        elif ref is not None:
            ref.tell(message, self.name)

    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Promise:
        """Ask somebody: a promise whose `get` waits and whose `then` does not. An unknown name fails it at once."""
        ref = self._cell.find(to, message) if isinstance(to, str) else to
        if ref is None or self._one.lost:
            promise = Promise(self._cell.engine, str(to), timeout)
            promise.settle(None, AnswerLost(f"no actor is called {to!r}" if ref is None else f"{self.name} was replaced"))
            return promise
        return ref.ask(message, timeout, self.name)

    def publish(self, message: object) -> int:
        """Tell everybody who accepts this type; how many they are. Nobody: a dead letter."""
        if self._one.lost:
            self._cell.speak_late("", message)
            return 0
        return self._cell.publish(message, self.name)

    def reply_later(self, message: object = None) -> Reply:
        """Take over the answer to the message being handled (in a batch: to `message`): its return value is not sent."""
        turn = self._one.turn
        envelopes = turn if isinstance(turn, list) else [turn]
        for envelope in envelopes:
            if envelope is not None and (message is None or envelope.message is message):
                if not isinstance(envelope.attached, Reply):
                    return Reply(None)
                envelope.attached.later = True
                self._one.owed.add(envelope.attached)
                return envelope.attached
        raise LookupError("reply_later is for a message that is being handled")

    def after(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` in `seconds`; cancelled by crash and stop."""
        return Timer(self._cell, self._one, seconds, message, repeat=False)

    def every(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` every `seconds`; one that was not handled yet is not queued again."""
        return Timer(self._cell, self._one, seconds, message, repeat=True)

    def stop(self, ending: Ending = Ending.NORMAL) -> None:
        """End after this message. Whether the actor comes back depends on its restart kind."""
        self._one.ending = ending
        self._cell.box.attention = True
