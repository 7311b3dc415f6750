"""What a durable mailbox adds to its cell: the queue over the journal, and what becomes of messages that are not handled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.codec import MessageCodec
from kubeedge_actors.supervisors.durable.journal import MailboxJournal
from kubeedge_actors.supervisors.durable.queue import DurableQueue
from kubeedge_actors.supervisors.durable.transaction import TurnTransaction
from kubeedge_actors.supervisors.envelope import DurableEnvelope, Envelope
from kubeedge_actors.supervisors.specs import ChildSpec

INTERVAL = 60.0
"""Seconds from one warning to the next."""


class DurableOwner(Protocol):
    """The cell, as it looks from here."""

    name: str
    spec: ChildSpec
    clock: Clock

    def emit(self, kind: type[events.Event], **facts: Any) -> None: ...
    def to_dead_letters(self, envelope: Envelope, reason: Reason, error: str = "", traceback: str = "") -> None: ...


class Durability:
    """`queue`: of the durable mailbox; None when the mailbox is in memory. `journal`: the system's; None when it keeps nothing."""

    __slots__ = ("_cell", "_journal", "_warned_at", "queue")

    def __init__(self, cell: DurableOwner, journal: MailboxJournal | None) -> None:
        self._cell, self._journal = cell, journal
        self._warned_at = float("-inf")
        self.queue = self._new_queue(cell.to_dead_letters)

    def _new_queue(self, bury: Callable[[Envelope, Reason, str], None]) -> DurableQueue | None:
        spec, box = self._cell.spec, self._cell.spec.mailbox
        if not box.durable or self._journal is None:
            return None
        codec, now = MessageCodec(spec.accepts), self._cell.clock.monotonic
        return DurableQueue(
            spec.name, self._journal, codec, box.max_bytes, box.capacity, spec.max_deliveries, bury, now
        )

    def new_transaction(self) -> TurnTransaction:
        """What the turns of an incarnation store. Error: StoreError when the system keeps nothing."""
        if self._journal is None:
            raise StoreError(f"{self._cell.name} has nothing to store in: its actor system was given no journal")
        return TurnTransaction(self._journal, self._cell.name, self.queue)

    def stays(self, envelope: Envelope, reason: Reason) -> bool:
        """Whether a message that is not handled stays for the next process, and is no dead letter; one that is goes from the file."""
        if self.queue is None:
            return False
        if isinstance(envelope, DurableEnvelope):
            if reason is Reason.STOPPED:
                return True
            self.queue.forget(envelope)
        elif reason in (Reason.MAILBOX_FULL, Reason.NOT_STORED):
            self._warn(reason, self.queue.bytes)
        return False

    def _warn(self, reason: Reason, kept: int) -> None:
        now = self._cell.clock.monotonic()
        if now - self._warned_at >= INTERVAL:
            self._warned_at = now
            self._cell.emit(events.NotKept, reason=reason.value, bytes=kept)
