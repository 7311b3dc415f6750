"""The journal of one actor system: what durable mailboxes hold and modules store, committed in groups.

Who tells writes: its message is committed when `put` returns, with those of all who tell at the same time, and with what turns have settled
since. What a turn settles (its messages go, what it stored comes) is one step, and waits up to LINGER for a commit to go along with: until then
the messages are there as if the turn had not been, and what it stored is not, so a process that ends does both again or neither.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors.envelope import DurableEnvelope

log = logging.getLogger(__name__)

LINGER = 0.05
"""Seconds that a settled turn waits for somebody else's commit."""
AGAIN = 1.0
"""Seconds until a commit that was refused (disk full) is tried again."""
GROUP = 256
"""So many settled messages do not wait."""

Values = Mapping[tuple[str, str], bytes | None]


class KeptMessage(Protocol):
    """A row of the file. `failed`: deliveries that ended its actor or its process; `alone`: it is delivered on its own."""

    @property
    def seq(self) -> int: ...
    @property
    def sender(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def failed(self) -> int: ...
    @property
    def alone(self) -> bool: ...


class JournalFile(Protocol):
    """The file, for one thread at a time. Errors: StoreError. `write` is one transaction, committed when it returns."""

    @property
    def exists(self) -> bool: ...
    def open(self) -> int: ...
    def mailbox(self, name: str) -> list[tuple[int, int]]: ...
    def mailboxes(self) -> dict[str, int]: ...
    def load(self, mailbox: str, seqs: Sequence[int]) -> Sequence[KeptMessage]: ...
    def write(
        self,
        added: Sequence[tuple[int, str, str, str, bytes]] = (),
        removed: Sequence[int] = (),
        failed: Mapping[int, tuple[int, bool]] | None = None,
        stored: Values | None = None,
    ) -> None: ...
    def stored(self, module: str, key: str) -> bytes | None: ...
    def stored_items(self, module: str, prefix: str) -> dict[str, bytes]: ...
    def holder(self, mailbox: str) -> Callable[[int, int], object]: ...
    def close(self) -> None: ...


class Receiver(Protocol):
    """A durable mailbox, as the journal sees it. `bytes`: of all its messages in the file."""

    name: str
    max_bytes: int
    bytes: int

    def arrived(self, envelope: DurableEnvelope) -> None: ...


class Put:
    """One message on its way into the file. `error`: None until it is decided, empty when it is in."""

    __slots__ = ("body", "envelope", "error", "path", "receiver")

    def __init__(self, receiver: Receiver, envelope: DurableEnvelope, path: str, body: bytes) -> None:
        self.receiver, self.envelope, self.path, self.body = receiver, envelope, path, body
        self.error: str | None = None


FULL = "full"
"""The error of a message for which its mailbox has no bytes left."""
CLOSED = "closed"
"""The error of a message after the journal was closed."""


def with_changes(items: dict[str, bytes], changes: Mapping[str, bytes | None], prefix: str) -> dict[str, bytes]:
    """Items under a prefix, changed in place by those changes that are under it: None deletes, a new value goes to the end."""
    for key, value in changes.items():
        if key.startswith(prefix):
            items.pop(key, None)
            if value is not None:
                items[key] = value
    return items


class MailboxJournal:
    """Group commit over one file. Any thread may call it. `call_later`: the engine's, for turns that nobody's commit takes along."""

    def __init__(self, file: JournalFile, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        self._file, self._call_later = file, call_later
        # re-entrant, because a garbage-collected reply may tell somebody something wherever that happens
        self._lock = threading.RLock()
        self._waiting: deque[Put] = deque()
        self._removed: list[int] = []
        self._failed: dict[int, tuple[int, bool]] = {}
        self._stored: dict[tuple[str, str], bytes | None] = {}
        self._writing = self._timed = self._refusing = self._opened = self._closed = False
        self._next = 0

    def open(self) -> None:
        """Open the file. Errors: StoreError."""
        with self._lock:
            if self._closed:
                raise StoreError("the journal is closed")
            if not self._opened:
                self._next = self._file.open() + 1
                self._opened = True

    def messages_of(self, mailbox: str) -> list[tuple[int, int]]:
        """Number and size of the messages that wait in a mailbox. Errors: StoreError."""
        with self._lock:
            self.open()
            self._write()
            return self._file.mailbox(mailbox)

    def unclaimed(self, known: Iterable[str]) -> dict[str, int]:
        """Mailboxes of other names that hold messages, and how many."""
        with self._lock:
            if not self._file.exists:
                return {}
            self.open()
            mine = set(known)
            return {name: count for name, count in self._file.mailboxes().items() if name not in mine}

    # --- messages -------------------------------------------------------------------------------------------------

    def put(self, entries: Sequence[Put]) -> None:
        """Have messages committed, and then arrive. Each has its error afterwards: empty, FULL, CLOSED, or what the file says."""
        self._waiting.extend(entries)
        with self._lock:
            if self._writing:  # told by a finalizer that runs inside of a commit
                for entry in entries:
                    self._waiting.remove(entry)
                    entry.error = "it was told while another message was being written"
            elif any(entry.error is None for entry in entries):
                self._commit_waiting()

    def _commit_waiting(self) -> None:
        entries: list[Put] = []
        wanted: dict[str, int] = {}
        while self._waiting:
            entry = self._waiting.popleft()
            receiver, size = entry.receiver, len(entry.body)
            total = wanted.get(receiver.name, receiver.bytes) + size
            if self._closed or total > receiver.max_bytes:
                entry.error = CLOSED if self._closed else FULL
                continue
            wanted[receiver.name] = total
            entry.envelope.seq, entry.envelope.size = self._next, size
            self._next += 1
            entries.append(entry)
        try:
            self._write(entries)
            error = ""
        except StoreError as refusal:
            error = str(refusal)
        for entry in entries:
            entry.error = error
            if not error:
                entry.receiver.bytes += entry.envelope.size
                entry.receiver.arrived(entry.envelope)

    def load(self, mailbox: str, seqs: Sequence[int]) -> Sequence[KeptMessage]:
        """Messages that are not in memory. Errors: StoreError."""
        with self._lock:
            return self._file.load(mailbox, seqs)

    def holder(self, mailbox: str) -> Callable[[int, int], object]:
        """A function that notes which messages of a mailbox are in hand (numbers of the first and the last; 0, 0: none)."""
        return self._file.holder(mailbox)

    # --- what turns did -------------------------------------------------------------------------------------------

    def settle(self, receiver: Receiver | None, envelopes: Sequence[DurableEnvelope], stored: Values) -> None:
        """A turn is over: its messages go and what it stored comes, together, with the next commit."""
        with self._lock:
            for envelope in envelopes:
                self._removed.append(envelope.seq)
                self._failed.pop(envelope.seq, None)
                if receiver is not None:
                    receiver.bytes -= envelope.size
            self._stored.update(stored)
            due = len(self._removed) >= GROUP
        if due:
            self.flush()
        elif not self._timed:
            self._flush_later(LINGER)

    def commit(self, receiver: Receiver | None, envelopes: Sequence[DurableEnvelope], stored: Values) -> None:
        """As `settle`, and committed when it returns. Errors: StoreError, then nothing of it has happened."""
        with self._lock:
            self.open()
            before = dict(self._stored)
            self._stored.update(stored)
            try:
                self._write((), [envelope.seq for envelope in envelopes])
            except StoreError:
                self._stored = before
                raise
            for envelope in envelopes:
                if receiver is not None:
                    receiver.bytes -= envelope.size

    def record_failures(self, envelopes: Iterable[DurableEnvelope]) -> None:
        """Keep how often these were delivered in vain."""
        with self._lock:
            for envelope in envelopes:
                self._failed[envelope.seq] = (envelope.failed_deliveries, envelope.alone)
        self._flush_later(LINGER)

    def stored(self, module: str, key: str) -> bytes | None:
        """What a module has stored under a key. Errors: StoreError."""
        with self._lock:
            self.open()
            if (module, key) in self._stored:
                return self._stored[module, key]
            return self._file.stored(module, key)

    def stored_items(self, module: str, prefix: str) -> dict[str, bytes]:
        """What a module has stored under keys that begin so. Errors: StoreError."""
        with self._lock:
            self.open()
            changes = {key: value for (owner, key), value in self._stored.items() if owner == module}
            return with_changes(self._file.stored_items(module, prefix), changes, prefix)

    # --- commits --------------------------------------------------------------------------------------------------

    def _write(self, entries: Sequence[Put] = (), removed: Sequence[int] = ()) -> None:
        """Commit these, and what was settled; all of it stays as it was when the file refuses."""
        gone = [*self._removed, *removed]
        if not (entries or gone or self._failed or self._stored):
            return
        rows = [(each.envelope.seq, each.receiver.name, each.envelope.sender, each.path, each.body) for each in entries]
        self._writing = True
        try:
            self._file.write(rows, gone, self._failed, self._stored)
        finally:
            self._writing = False
        self._removed.clear()
        self._failed.clear()
        self._stored.clear()

    def flush(self) -> bool:
        """Commit what was settled; False, and it is tried again, when the file refuses."""
        with self._lock:
            if self._closed or not self._opened:
                return True
            try:
                self._write()
            except StoreError as error:
                if not self._refusing:
                    log.warning("what modules have done can not be written: %s", error)
                self._refusing = True
            else:
                if self._refusing:
                    log.warning("what modules have done can be written again")
                self._refusing = False
        if self._refusing:
            self._flush_later(AGAIN)
        return not self._refusing

    def _flush_later(self, seconds: float) -> None:
        with self._lock:
            if self._timed or self._closed:
                return
            self._timed = True
        self._call_later(seconds, self._flush_now)

    def _flush_now(self) -> None:
        self._timed = False
        self.flush()

    def close(self) -> None:
        """Commit what was settled, and close the file: from now on nothing is kept. Idempotent."""
        with self._lock:
            if not self._closed:
                self.flush()
                self._closed = True
                self._file.close()
