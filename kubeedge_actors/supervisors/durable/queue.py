"""The queue of a durable mailbox: the first messages in memory, of the others only their numbers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.codec import MessageCodec, NotStorable, UnreadableMessage
from kubeedge_actors.supervisors.durable.journal import CLOSED, FULL, KeptMessage, MailboxJournal, Put
from kubeedge_actors.supervisors.envelope import DurableEnvelope, Envelope

PAGE = 256
"""How many messages are read from the file at once."""

Refuse = Callable[[Envelope, Reason, str], None]


class DurableQueue:
    """Messages of one durable mailbox, and between them what is not kept (questions, timers, answers), in order.

    `resident`: how many are held in memory before the file alone has the rest. `bury(envelope, reason, error)` makes a dead letter of what is
    not understood any more, or has ended its process or actor `max_deliveries` times. `now`: the time that messages of former processes get.
    Errors: StoreError when it is made and the file can not be read.
    """

    def __init__(
        self,
        name: str,
        journal: MailboxJournal,
        codec: MessageCodec,
        max_bytes: int,
        resident: int,
        max_deliveries: int,
        bury: Refuse,
        now: Callable[[], float],
    ) -> None:
        self.name, self.max_bytes = name, max_bytes
        self._journal, self._codec, self._resident = journal, codec, resident
        self._max_deliveries, self._bury, self._now = max_deliveries, bury, now
        # re-entrant, because a garbage-collected reply puts an answer in wherever that happens
        self._lock = threading.RLock()
        kept = journal.messages_of(name)
        self._entries: deque[Envelope | int] = deque(seq for seq, _ in kept)
        self.bytes = sum(size for _, size in kept)
        self.volatile = 0
        """How many of the queued ones are in memory only."""

    # --- in -------------------------------------------------------------------------------------------------------

    def keeps(self, envelope: Envelope) -> bool:
        """Whether the envelope is to be in the file: a message of somebody's, to whom no answer is owed."""
        return envelope.delivery is None and self._codec.keeps(envelope.message)

    def put(self, envelopes: Iterable[Envelope]) -> list[tuple[Envelope, Reason, str]]:
        """Have them in the file, by one commit, and queued; those that are not taken, and why."""
        refused: list[tuple[Envelope, Reason, str]] = []
        entries: list[tuple[Envelope, Put]] = []
        for envelope in envelopes:
            try:
                path, body = self._codec.encode(envelope.message)
            except NotStorable as error:
                refused.append((envelope, Reason.NOT_STORED, str(error)))
                continue
            durable = DurableEnvelope(
                envelope.message, envelope.sender, envelope.at, published=envelope.published, trace=envelope.trace
            )
            entries.append((envelope, Put(self, durable, path, body)))
        self._journal.put([entry for _, entry in entries])
        refused += [(envelope, *_refusal(entry.error)) for envelope, entry in entries if entry.error]
        return refused

    def arrived(self, envelope: DurableEnvelope) -> None:
        """It is in the file: queue it."""
        with self._lock:
            self._entries.append(envelope if len(self._entries) < self._resident else envelope.seq)

    def append(self, envelope: Envelope) -> None:
        """Queue what is not kept."""
        with self._lock:
            self._entries.append(envelope)
            self.volatile += 1

    def extendleft(self, envelopes: Iterable[Envelope]) -> None:
        """Put back what was taken."""
        taken = list(envelopes)
        with self._lock:
            self._entries.extendleft(taken)
            self.volatile += sum(not isinstance(envelope, DurableEnvelope) for envelope in taken)
        again = [each for each in taken if isinstance(each, DurableEnvelope) and (each.failed_deliveries or each.alone)]
        if again:
            self._journal.record_failures(again)

    # --- out ------------------------------------------------------------------------------------------------------

    def popleft(self) -> Envelope:
        """Take the first; IndexError when empty, StoreError when it can not be read."""
        while True:
            with self._lock:
                entry = self._entries.popleft()
                if isinstance(entry, Envelope):
                    self.volatile -= not isinstance(entry, DurableEnvelope)
                    return entry
            self._load(entry)

    def _load(self, first: int) -> None:
        """Bring a page into memory, but for what of it is a dead letter. Without the lock: who writes the file takes that as well."""
        seqs = [first]
        with self._lock:
            while len(seqs) < PAGE and self._entries and isinstance(self._entries[0], int):
                seqs.append(self._entries.popleft())  # type: ignore[arg-type]
        try:
            rows = {row.seq: row for row in self._journal.load(self.name, seqs)}
        except StoreError:
            with self._lock:
                self._entries.extendleft(reversed(seqs))
            raise
        loaded = [self._envelope(rows[seq]) for seq in seqs if seq in rows]
        with self._lock:
            self._entries.extendleft(envelope for envelope, reason, _ in reversed(loaded) if reason is None)
        for envelope, reason, error in loaded:
            if reason is not None:
                self._bury(envelope, reason, error)

    def _envelope(self, row: KeptMessage) -> tuple[DurableEnvelope, Reason | None, str]:
        reason, text, message = None, "", None
        try:
            message = self._codec.decode(row.type, row.body)
        except NotStorable as error:
            reason, text, message = Reason.NOT_UNDERSTOOD, str(error), UnreadableMessage(row.type, len(row.body))
        if reason is None and row.failed >= self._max_deliveries:
            reason, text = Reason.CRASH_LIMIT, "its process ended while it was in hand"
        envelope = DurableEnvelope(
            message,
            row.sender,
            self._now(),
            failed_deliveries=row.failed,
            alone=row.alone,
            seq=row.seq,
            size=len(row.body),
        )
        return envelope, reason, text

    def take_volatile(self) -> Iterator[Envelope]:
        """Take what is in memory only: the rest stays for the next process."""
        with self._lock:
            taken = [entry for entry in self._entries if _is_volatile(entry)]
            self._entries = deque(entry for entry in self._entries if not _is_volatile(entry))
            self.volatile = 0
        yield from taken  # type: ignore[misc]  # they are envelopes

    def forget(self, envelope: DurableEnvelope) -> None:
        """It is a dead letter: it goes from the file."""
        self._journal.settle(self, [envelope], {})

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Envelope:
        with self._lock:
            entry = self._entries[index]
        # of what is in the file only, the time is not known
        return entry if isinstance(entry, Envelope) else Envelope(None, at=self._now())


def _refusal(error: str) -> tuple[Reason, str]:
    if error == CLOSED:
        return Reason.STOPPED, ""
    return (Reason.MAILBOX_FULL, "") if error == FULL else (Reason.NOT_STORED, error)


def _is_volatile(entry: Envelope | int) -> bool:
    return isinstance(entry, Envelope) and not isinstance(entry, DurableEnvelope)
