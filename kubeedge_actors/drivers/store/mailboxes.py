"""Durable mailboxes and the stores of modules in one SQLite file, so that a message and what its turn stored are one transaction.

What is committed survives the end of the process, `kill -9` included (write-ahead log, synchronous=NORMAL: no fsync for each commit). After a
power cut the file is sound, and what was committed in the last moments may be missing.
"""

from __future__ import annotations

import logging
import mmap
import os
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.errors import StoreCorrupt, StoreError
from kubeedge_actors.osutil import sqlite
from kubeedge_actors.osutil.cipher import PLAIN, Cipher, KeyRing
from kubeedge_actors.osutil.files import ensure_private_file
from kubeedge_actors.osutil.sealed_tables import SealedTable, adopt_keys

log = logging.getLogger(__name__)

FILE = "mailboxes.db"
VERSION = 1
CACHE_KIB = 512
CHECKPOINT_PAGES = 4_000
"""Pages of the write-ahead log after which it is worked in, which costs an fsync: 16 MB."""
_SCHEMA = (
    "CREATE TABLE message (seq INTEGER PRIMARY KEY, mailbox TEXT NOT NULL, sender TEXT NOT NULL, type TEXT NOT NULL,"
    " body BLOB NOT NULL, failed INTEGER NOT NULL DEFAULT 0, alone INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE stored (module TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (module, key)) WITHOUT ROWID",
    f"PRAGMA user_version = {VERSION}",
)
_SEALED = (SealedTable("message", ("seq",), ("body",)), SealedTable("stored", ("module", "key"), ("value",)))
_PUT = "INSERT INTO message (seq, mailbox, sender, type, body) VALUES (?, ?, ?, ?, ?)"
_FAILED = "UPDATE message SET failed = ?, alone = ? WHERE seq = ?"
_STORE = "INSERT INTO stored VALUES (?, ?, ?) ON CONFLICT (module, key) DO UPDATE SET value = excluded.value"
_LOAD = "SELECT seq, sender, type, body, failed, alone FROM message WHERE seq BETWEEN ? AND ? AND mailbox = ?"


class MessageRow(NamedTuple):
    """A message as it is kept. `failed`: deliveries that ended its actor or its process; `alone`: it is delivered on its own."""

    seq: int
    sender: str
    type: str
    body: bytes
    failed: int
    alone: bool


class MailboxFile:
    """The file at `path`, made with mode 0600 at the first use; None: in memory, for tests. For one thread at a time, of one process; errors: StoreError.

    A damaged file is moved aside, with a WARNING, and a new one is begun. Beside it `*.hand` says which messages are in hand: it is mapped
    into memory, so that noting one costs no write, and a message that ends its process is known by it to the next one. `keys`: seal
    messages and values; UsageError when they are sealed and the key is not there.
    """

    def __init__(self, path: Path | None, keys: KeyRing | None = None) -> None:
        self._keys = keys
        self._cipher: Cipher = PLAIN
        self._path = path or Path(":memory:")
        self._connection: sqlite3.Connection | None = None
        self._file: sqlite.FileInPlace | None = None
        self._hands: InHand | None = None

    @property
    def exists(self) -> bool:
        """Whether there is something to read."""
        return self._connection is not None or (self._kept and self._path.exists())

    @property
    def _kept(self) -> bool:
        return str(self._path) != ":memory:"

    def open(self) -> int:
        """Open the file if it is not open; the highest number of a message in it. What was in hand when a process ended counts as failed."""
        if self._connection is None:
            with self._translated():
                self._connection = self._opened()
                self._file = sqlite.FileInPlace(self._path, self._reconnected)
                if self._kept:
                    self._hands = InHand(self._path.with_suffix(".hand"))
                    self._count_in_hand(self._connection, self._hands)
        with self._use() as connection:
            return int(connection.execute("SELECT coalesce(max(seq), 0) FROM message").fetchone()[0])

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except StoreCorrupt as error:
            aside = self._path.with_suffix(".damaged")
            log.warning("%s: it is now %s, and a new one is begun", error, aside)
            self._path.replace(aside)
            for ending in ("-wal", "-shm"):
                Path(f"{self._path}{ending}").unlink(missing_ok=True)
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite.connect(self._path)
        try:
            self._prepare(connection)
            self._cipher = adopt_keys(connection, self._keys, _SEALED, self._path)
        except BaseException as error:
            connection.close()
            if sqlite.is_damage(error):
                raise StoreCorrupt(f"{self._path} is damaged or is no database") from error
            raise
        return connection

    def _reconnected(self) -> sqlite3.Connection:
        connection = sqlite.connect(self._path)
        _configure(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _configure(connection)
        if not sqlite.is_sound(connection):
            raise StoreCorrupt(f"{self._path} is damaged")
        version = sqlite.user_version(connection)
        if version > VERSION:
            raise StoreError(f"the mailboxes in {self._path} were written by a newer version of this program")
        if version == 0:
            with sqlite.transaction(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)

    @staticmethod
    def _count_in_hand(connection: sqlite3.Connection, hands: InHand) -> None:
        with sqlite.transaction(connection):
            for mark, first, last in hands.marks():
                rows = connection.execute(
                    "SELECT seq, mailbox FROM message WHERE seq BETWEEN ? AND ?", (first, last)
                ).fetchall()
                held = [(seq,) for seq, mailbox in rows if _mark_of(mailbox) == mark]
                # of a batch nobody knows which one it was: each is delivered alone, and only that counts
                connection.executemany(
                    f"UPDATE message SET failed = failed + {int(len(held) == 1)}, alone = 1 WHERE seq = ?", held
                )
        hands.clear()

    def mailbox(self, name: str) -> list[tuple[int, int]]:
        """Number and size (bytes) of each message of a mailbox, in order."""
        with self._use() as connection:
            return connection.execute(
                "SELECT seq, length(body) - ? FROM message WHERE mailbox = ? ORDER BY seq",
                (self._cipher.overhead, name),
            ).fetchall()

    def mailboxes(self) -> dict[str, int]:
        """The names of the mailboxes that hold messages, and how many."""
        with self._use() as connection:
            return dict(connection.execute("SELECT mailbox, count(*) FROM message GROUP BY mailbox"))

    def load(self, mailbox: str, seqs: Sequence[int]) -> list[MessageRow]:
        """The messages of these numbers, in order; what is not there is left out."""
        wanted = set(seqs)
        with self._use() as connection:
            rows = connection.execute(_LOAD, (min(wanted), max(wanted), mailbox)).fetchall()
        return [
            MessageRow(seq, sender, type, self._unsealed(body, "message", seq), failed, bool(alone))
            for seq, sender, type, body, failed, alone in rows
            if seq in wanted
        ]

    def write(
        self,
        added: Sequence[tuple[int, str, str, str, bytes]] = (),
        removed: Sequence[int] = (),
        failed: Mapping[int, tuple[int, bool]] | None = None,
        stored: Mapping[tuple[str, str], bytes | None] | None = None,
    ) -> None:
        """One transaction. `added`: number, mailbox, sender, type, body; `failed`: deliveries and whether alone; `stored`: values by module and
        key, None to delete.
        """
        values, seal = stored or {}, self._cipher.seal
        messages = [
            (seq, mailbox, sender, type, seal(body, "message", seq)) for seq, mailbox, sender, type, body in added
        ]
        kept = [(*key, seal(value, "stored", *key)) for key, value in values.items() if value is not None]
        with self._use(writing=True) as connection, sqlite.transaction(connection):
            connection.executemany(_PUT, messages)
            connection.executemany(_FAILED, [(count, alone, seq) for seq, (count, alone) in (failed or {}).items()])
            connection.executemany("DELETE FROM message WHERE seq BETWEEN ? AND ?", _ranges(removed))
            connection.executemany(_STORE, kept)
            connection.executemany(
                "DELETE FROM stored WHERE module = ? AND key = ?",
                [key for key, value in values.items() if value is None],
            )

    def stored(self, module: str, key: str) -> bytes | None:
        """The value under a key of a module's store."""
        with self._use() as connection:
            row = connection.execute("SELECT value FROM stored WHERE module = ? AND key = ?", (module, key)).fetchone()
        return None if row is None else self._unsealed(row[0], "stored", module, key)

    def stored_items(self, module: str, prefix: str) -> dict[str, bytes]:
        """All values under keys that begin with `prefix`."""
        with self._use() as connection:
            rows = connection.execute(
                "SELECT key, value FROM stored WHERE module = ? AND substr(key, 1, ?) = ?",
                (module, len(prefix), prefix),
            )
            return {key: self._unsealed(value, "stored", module, key) for key, value in rows}

    def _unsealed(self, value: bytes, *row: object) -> bytes:
        opened = self._cipher.unseal(value, *row)
        return opened if isinstance(opened, bytes) else str(opened).encode()

    def holder(self, mailbox: str) -> Callable[[int, int], object]:
        """A function that notes which messages of a mailbox are in hand, from the first to the last; 0, 0: none. It has to be cheap."""
        return _nothing if self._hands is None else self._hands.holder(mailbox)

    def close(self) -> None:
        """Give the file back; idempotent."""
        connection, self._connection = self._connection, None
        hands, self._hands = self._hands, None
        if hands is not None:
            hands.close()
        if connection is not None:
            connection.close()

    @contextmanager
    def _use(self, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
        if self._connection is None or self._file is None:
            raise StoreError(f"{self._path} is not open")
        with self._translated():
            if writing:
                self._connection = self._file.kept(self._connection)
            yield self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = sqlite.primary_error_code(error) == sqlite3.SQLITE_FULL
            raise StoreError(f"{self._path}: {'the disk is full' if full else error}") from error
        except OSError as error:
            raise StoreError(f"{self._path} can not be used: {error.strerror}") from error


# --- messages in hand -------------------------------------------------------------------------------------------------


_SLOT = struct.Struct("@QQQ")
_SLOTS = 170


def _configure(connection: sqlite3.Connection) -> None:
    # nobody else reads it: without shared memory and locks a commit costs half
    sqlite.configure(connection, cache_size=-CACHE_KIB, locking_mode="exclusive")
    connection.execute("PRAGMA synchronous = normal")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


def _nothing(first: int, last: int) -> None:
    """Nobody looks at it later."""


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The same numbers as ranges without gaps.

    >>> _ranges([3, 1, 2, 7])
    [(1, 3), (7, 7)]
    """
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _mark_of(mailbox: str) -> int:
    return zlib.crc32(mailbox.encode()) + 1


class InHand:
    """A page of memory that the kernel keeps in a file, whatever becomes of the process: one slot for each mailbox."""

    def __init__(self, path: Path) -> None:
        ensure_private_file(path)
        size = _SLOT.size * _SLOTS
        with path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size != size:
                file.truncate(0)
                file.truncate(size)
            self._memory = mmap.mmap(file.fileno(), size)
        self._offsets: dict[str, int] = {}

    def marks(self) -> list[tuple[int, int, int]]:
        """What was in hand: the mark of a mailbox, first and last number."""
        slots: Iterator[tuple[int, int, int]] = _SLOT.iter_unpack(self._memory[:])
        return [slot for slot in slots if slot[1]]

    def clear(self) -> None:
        """Nothing is in hand."""
        self._memory[:] = bytes(len(self._memory))

    def holder(self, mailbox: str) -> Callable[[int, int], object]:
        """Notes what of a mailbox is in hand, in its slot; nothing when all slots are taken."""
        offset = self._offsets.setdefault(mailbox, len(self._offsets) * _SLOT.size)
        if offset >= len(self._memory):
            return _nothing
        pack, memory, mark = _SLOT.pack_into, self._memory, _mark_of(mailbox)

        def hold(first: int, last: int) -> None:
            try:
                pack(memory, offset, mark, first, last)
            except (TypeError, ValueError):  # it is closed: the system has stopped, and this turn has not
                return

        return hold

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
