"""What one turn stores, and its commit together with the message that it handled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kubeedge_actors.supervisors.durable.journal import MailboxJournal, Receiver, with_changes
from kubeedge_actors.supervisors.envelope import DurableEnvelope, Envelope


class Values(Protocol):
    """Bytes by key, as one module sees its own."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes | None) -> None: ...
    def items(self, prefix: str) -> dict[str, bytes]: ...


KNOWN = 256
"""So many values are remembered, so that they need not be read again."""


class TurnTransaction:
    """The unit of work of one incarnation, one turn after the other. `receiver`: its durable mailbox, if it has one."""

    def __init__(self, journal: MailboxJournal, name: str, receiver: Receiver | None) -> None:
        self._journal, self._name, self._receiver = journal, name, receiver
        self._hold = None if receiver is None else journal.holder(name)
        self._changes: dict[str, bytes | None] = {}
        self._known: dict[str, bytes | None] = {}

    def begin(self, envelopes: Sequence[Envelope]) -> None:
        """A turn begins: nothing is stored, and these are in hand."""
        if self._changes:
            self._changes = {}
        if self._hold is not None:
            held = [envelope.seq for envelope in envelopes if isinstance(envelope, DurableEnvelope)]
            if held:
                self._hold(min(held), max(held))

    def commit(self, envelopes: Sequence[Envelope]) -> None:
        """The turn counts. A turn of kept messages is settled: it is in the file or will be done again. What another turn stored is committed
        when this returns. Errors: StoreError, then nothing is stored.
        """
        changes = {(self._name, key): value for key, value in self._changes.items()} if self._changes else {}
        kept = [envelope for envelope in envelopes if isinstance(envelope, DurableEnvelope)] if self._hold else []
        if changes and len(kept) < max(1, len(envelopes)):
            self._journal.commit(self._receiver, kept, changes)
        elif kept:
            self._journal.settle(self._receiver, kept, changes)
        if changes:
            self._remember()
        if kept and self._hold is not None:
            self._hold(0, 0)

    def _remember(self) -> None:
        self._known.update(self._changes)
        self._changes = {}
        if len(self._known) > KNOWN:
            self._known = {}

    def abandon(self) -> None:
        """The turn failed: it has stored nothing."""
        self._changes = {}
        if self._hold is not None:
            self._hold(0, 0)

    # --- Values ---------------------------------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """What is stored, this turn's own included. Errors: StoreError."""
        if key in self._changes:
            return self._changes[key]
        if key not in self._known:
            self._known[key] = self._journal.stored(self._name, key)
        return self._known[key]

    def put(self, key: str, value: bytes | None) -> None:
        """Store it with the turn; None deletes."""
        self._changes[key] = value

    def items(self, prefix: str) -> dict[str, bytes]:
        """What is stored under keys that begin so. Errors: StoreError."""
        return with_changes(self._journal.stored_items(self._name, prefix), self._changes, prefix)
