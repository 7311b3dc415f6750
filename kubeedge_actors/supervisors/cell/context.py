"""The Context of an actor that lives in this process."""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors.actor import Context
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.store import ModuleStore
from kubeedge_actors.supervisors.engines.base import Runnable
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.future import Future, LocalFuture, LocalReplyTo
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.strategy import ExitReason
from kubeedge_actors.supervisors.timer import LocalTimer


class LocalContext(Context):
    """The context of one incarnation; once that was replaced, whatever it sends is a dead letter."""

    __slots__ = ("_cell", "_store", "incarnation")

    def __init__(self, cell: Runnable, incarnation: Incarnation) -> None:
        super().__init__(cell.name, cell.ref, cell.clock, cell.log)
        self._cell, self.incarnation = cell, incarnation
        self._store: ModuleStore | None = None

    def knows(self, name: str) -> bool:
        """Ask the registry."""
        return self._cell.system.registry.get(name) is not None

    def tell(self, to: str | Ref, message: object) -> None:
        """Tell by name through the registry, or by Ref."""
        ref = self.resolve(to, message)
        if ref is not None:
            ref.tell(message, self.name)

    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Future:
        """Ask by name through the registry, or by Ref."""
        ref = self.resolve(to, message)
        if ref is not None:
            return ref.ask(message, timeout, self.name)
        future = LocalFuture(self._cell.engine, str(to), timeout)
        future.complete(None, AnswerLost(f"no actor is called {to!r}, or {self.name} was replaced"))
        return future

    def publish(self, message: object) -> int:
        """Tell all who are registered for this type."""
        if self.incarnation.revoked:
            self._cell.system.to_dead_letters("", message, Reason.SUPERSEDED_SENDER, self.name)
            return 0
        return self._cell.system.publish(message, self.name)

    def publish_all(self, messages: Sequence[object]) -> None:
        """Tell all who are registered for the type of these messages."""
        if self.incarnation.revoked or not messages:
            super().publish_all(messages)
        else:
            self._cell.system.publish_all(messages, self.name)

    def resolve(self, to: str | Ref, message: object) -> Ref | None:
        """The Ref that `message` may be told to; None when it has become a dead letter."""
        ref = self._cell.system.registry.get(to) if isinstance(to, str) else to
        if ref is None or self.incarnation.revoked:
            reason = Reason.UNKNOWN_RECIPIENT if ref is None else Reason.SUPERSEDED_SENDER
            self._cell.system.to_dead_letters(to if isinstance(to, str) else to.name, message, reason, self.name)
            return None
        return ref

    def reply_later(self, message: object = None) -> LocalReplyTo:
        """Take over the ReplyTo of the message in hand. Error: LookupError when it is not in hand."""
        for envelope in self.incarnation.current_envelopes():
            if message is None or envelope.message is message:
                return self._take_over(envelope)
        raise LookupError("reply_later is for a message that is in hand")

    def _take_over(self, envelope: Envelope) -> LocalReplyTo:
        reply = envelope.delivery
        if not isinstance(reply, LocalReplyTo):
            return LocalReplyTo(None)
        reply.later = True
        self.incarnation.pending_replies.add(reply)
        return reply

    @property
    def store(self) -> ModuleStore:
        """The store; from the first look at it on the turns of this incarnation end with a commit."""
        incarnation = self.incarnation
        if incarnation.transaction is None:
            incarnation.transaction = self._cell.new_transaction()
            self._cell.mailbox.interrupt_requested = True
        if self._store is None:
            self._store = ModuleStore(incarnation.transaction)
        return self._store

    @property
    def sender(self) -> str:
        """As the first envelope in hand says."""
        return next((envelope.sender for envelope in self.incarnation.current_envelopes()), "")

    @property
    def delivery(self) -> int:
        """As the envelopes in hand say. One that comes alone was in a batch that failed, unless that is because it is followed."""
        envelopes = self.incarnation.current_envelopes()
        again = (max(each.failed_deliveries, int(each.alone and not each.trace)) for each in envelopes)
        return 1 + max(again, default=0)

    def after(self, seconds: float, message: object) -> LocalTimer:
        """A timer that fires once."""
        return LocalTimer(self.incarnation, seconds, message, repeat=False)

    def every(self, seconds: float, message: object) -> LocalTimer:
        """A timer that fires again and again."""
        return LocalTimer(self.incarnation, seconds, message, repeat=True)

    def stop(self, reason: ExitReason = ExitReason.NORMAL) -> None:
        """Have the runner end the incarnation before the next message."""
        self.incarnation.exit_requested = reason
        self._cell.mailbox.interrupt_requested = True
