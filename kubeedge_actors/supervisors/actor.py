"""Actor, which people subclass, and Context, through which an actor reaches the system it runs in."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.store import ModuleStore
from kubeedge_actors.supervisors.future import Future, ReplyTo
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.strategy import ExitReason
from kubeedge_actors.supervisors.timer import Timer


class Unhandled(Exception):
    """The actor does not handle this message: it becomes a dead letter, and that is no crash."""

    reason = Reason.UNHANDLED


class Undeliverable(Unhandled):
    """The actor can not pass this message on to whom it is for, and nobody will send it again: it becomes a dead letter, told as a warning."""

    reason = Reason.UNDELIVERABLE


class Actor:
    """Base class of actors: handles one message at a time. Its hooks run on the actor's own thread; an exception in them is contained."""

    context: Context

    def on_start(self) -> None:
        """Called before the first message of each incarnation; raising is a crash."""

    def receive(self, message: object) -> object:
        """Handle one message; the return value answers an ask. Raise Unhandled for a message that it does not handle."""
        raise Unhandled(f"{type(self).__name__} does not handle {type(message).__name__}")

    def max_batch(self, message_type: type) -> int:
        """How many queued messages of this type, one behind the other, `receive_batch` takes at once; 1: none."""
        return 1

    def receive_batch(self, messages: list[Any]) -> list[object] | None:
        """Handle messages of one type; the answers, one for each, or None. It is one turn: when it crashes, all of them
        come again one by one, and only that counts as a delivery, so that a poison message goes alone.
        """
        raise Unhandled(f"{type(self).__name__} does not handle batches of {type(messages[0]).__name__}")

    def on_stop(self) -> None:
        """Called once for each instance whose `on_start` was entered, after a crash as well."""


class Context(ABC):
    """What an actor can do: tell, ask, publish, timers. It belongs to one incarnation; `name` and `ref` are the actor's own."""

    __slots__ = ("clock", "log", "name", "ref")

    def __init__(self, name: str, ref: Ref, clock: Clock, log: logging.Logger) -> None:
        self.name, self.ref, self.clock, self.log = name, ref, clock, log

    @abstractmethod
    def knows(self, name: str) -> bool:
        """Whether there is an actor of that name."""

    @abstractmethod
    def tell(self, to: str | Ref, message: object) -> None:
        """Send a message to an actor, by name or Ref. An unknown name is a dead letter, never an exception."""

    @abstractmethod
    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Future:
        """Send a request: the future of its answer, whose `get` waits and whose `then` does not. An unknown name fails it at once."""

    @abstractmethod
    def publish(self, message: object) -> int:
        """Send a message to every actor that accepts its type; returns how many they are. 0: it is a dead letter."""

    def publish_all(self, messages: Sequence[object]) -> None:
        """Publish messages of one type: durable mailboxes have them in their file by one commit."""
        for message in messages:
            self.publish(message)

    @abstractmethod
    def reply_later(self, message: object = None) -> ReplyTo:
        """Take over the answer to the message in hand (in a batch: to `message`): what the handler returns is not sent.
        A tell has nobody to answer: then the ReplyTo goes nowhere. LookupError when that message is not in hand.
        """

    @property
    @abstractmethod
    def store(self) -> ModuleStore:
        """The durable mapping of this actor. Error: StoreError when its system keeps nothing."""

    @property
    @abstractmethod
    def sender(self) -> str:
        """Who sent the message in hand (of a batch, the first one); empty from outside the system, and when none is in hand."""

    @property
    @abstractmethod
    def delivery(self) -> int:
        """1 when the message in hand is delivered for the first time; more when it may have been handled before, by this process or another."""

    @abstractmethod
    def after(self, seconds: float, message: object) -> Timer:
        """Send this actor `message` in `seconds`; cancelled by crash and stop."""

    @abstractmethod
    def every(self, seconds: float, message: object) -> Timer:
        """Send this actor `message` every `seconds`; not while the last one still waits in the mailbox."""

    @abstractmethod
    def stop(self, reason: ExitReason = ExitReason.NORMAL) -> None:
        """Stop after this message. Whether the actor is restarted depends on its restart kind."""
