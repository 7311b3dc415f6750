"""What people subclass, and what the actor sees of the world."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.promise import Promise, Reply
from kubeedge_actors.supervisors.strategy import Ending
from kubeedge_actors.supervisors.timer import Timer

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell
    from kubeedge_actors.supervisors.clock import Clock
    from kubeedge_actors.supervisors.incarnation import Incarnation
    from kubeedge_actors.supervisors.ref import Ref


class Unhandled(Exception):
    """The actor does not handle this message: it becomes a dead letter, and that is no crash."""

    reason = Reason.UNHANDLED


class Actor:
    """A thing that handles one message at a time. Its hooks run on the actor's own thread; what they raise is
    contained.
    """

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
        """Handle messages of one type; the answers, one for each, or None. It is one turn: when it crashes, all of them
        come again one by one, and only that counts as a delivery, so that a poison message goes alone.
        """
        raise Unhandled(f"{type(self).__name__} does not handle batches of {type(messages[0]).__name__}")

    def on_stop(self) -> None:
        """Called once for each instance whose `on_start` was entered, after a crash as well."""


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
        ref = self._find(to, message)
        if ref is not None:
            ref.tell(message, self.name)

    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Promise:
        """Ask somebody: a promise whose `get` waits and whose `then` does not. An unknown name fails it at once."""
        ref = self._find(to, message)
        if ref is not None:
            return ref.ask(message, timeout, self.name)
        promise = Promise(self._cell.engine, str(to), timeout)
        promise.settle(None, AnswerLost(f"no actor is called {to!r}, or {self.name} was replaced"))
        return promise

    def publish(self, message: object) -> int:
        """Tell everybody who accepts this type; how many they are. Nobody: a dead letter."""
        if self._one.lost:
            self._cell.runtime.bury("", message, Reason.LATE, self.name)
            return 0
        return self._cell.runtime.publish(message, self.name)

    def _find(self, to: str | Ref, message: object) -> Ref | None:
        ref = self._cell.runtime.registry.get(to) if isinstance(to, str) else to
        if ref is None or self._one.lost:
            reason = Reason.UNKNOWN_RECIPIENT if ref is None else Reason.LATE
            self._cell.runtime.bury(to if isinstance(to, str) else to.name, message, reason, self.name)
            return None
        return ref

    def reply_later(self, message: object = None) -> Reply:
        """Take over the answer to the message in hand (in a batch: to `message`): what the handler returns is not sent.
        A tell has nobody to answer: then the Reply goes nowhere.
        """
        for envelope in self._one.held():
            if message is None or envelope.message is message:
                if not isinstance(envelope.attached, Reply):
                    return Reply(None)
                envelope.attached.later = True
                self._one.owed.add(envelope.attached)
                return envelope.attached
        raise LookupError("reply_later is for a message that is in hand")

    def after(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` in `seconds`; cancelled by crash and stop."""
        return Timer(self._cell, self._one, seconds, message, repeat=False)

    def every(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` every `seconds`; not while the last one still waits in the mailbox."""
        return Timer(self._cell, self._one, seconds, message, repeat=True)

    def stop(self, ending: Ending = Ending.NORMAL) -> None:
        """End after this message. Whether the actor comes back is for its restart kind to say."""
        self._one.ending = ending
        self._cell.box.attention = True
