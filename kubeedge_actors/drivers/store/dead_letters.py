"""Dead letters in one SQLite file: written by a thread of its own in batches, readable by any process.

Not durable to the last instant: a letter is written at once, but in a flood the writer rests between two batches, and what
was added in that moment (LINGER) before a `kill -9` may be missing.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from kubeedge_actors.errors import StoreCorrupt, StoreError
from kubeedge_actors.osutil import sqlite
from kubeedge_actors.osutil.cipher import Cipher, KeyRing
from kubeedge_actors.osutil.commit_stats import stats_of
from kubeedge_actors.osutil.files import ensure_private_file, size_and_time
from kubeedge_actors.osutil.sealed_tables import SealedTable, adopt_keys, present_cipher

log = logging.getLogger(__name__)
Item = TypeVar("Item")

CAPACITY = 10_000
QUEUED = 10_000
BATCH = 500
FLUSH_SECONDS = 5.0
LINGER = 0.2
"""Minimum seconds between two commits. A dead letter after a quiet period is written at once; in a flood they are
batched, which limits commits and flash wear.
"""


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """One letter. `at` and `replayed`: epoch seconds, 0 for never; `message`: its text for a replay, or None if it can not be."""

    recipient: str
    sender: str
    type: str
    message: str | None
    payload: str
    reason: str
    error: str
    traceback: str
    deliveries: int
    at: float
    replayed: float = 0.0
    id: int = 0


_COLUMNS = tuple(field.name for field in fields(DeadLetterRow))[:-1]
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS letters (id INTEGER PRIMARY KEY AUTOINCREMENT, recipient TEXT NOT NULL, sender TEXT NOT NULL,"
    " type TEXT NOT NULL, message TEXT, payload TEXT NOT NULL, reason TEXT NOT NULL, error TEXT NOT NULL,"
    " traceback TEXT NOT NULL, deliveries INTEGER NOT NULL, at REAL NOT NULL, replayed REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS figures (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)
_TEXTS = ("message", "payload", "error", "traceback")
"""What may hold anything that a message holds."""
_SEALED = (SealedTable("letters", ("id",), _TEXTS),)
_INSERT = f"INSERT INTO letters ({', '.join(_COLUMNS)}, id) VALUES ({', '.join('?' * len(_COLUMNS))}, ?)"
_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'letters'"
_SELECT = f"SELECT {', '.join(_COLUMNS)}, id FROM letters"
_TRIM = "DELETE FROM letters WHERE id <= (SELECT id FROM letters ORDER BY id DESC LIMIT 1 OFFSET ?)"
_COUNT = "INSERT INTO figures VALUES ('forgotten', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"


class DeadLetterDb:
    """The letters in the file at `path`, which need not exist yet. Each call is a connection of its own, any thread may make it.

    `keys`: with which what is in the letters is sealed, if it is: errors of all calls are StoreError, and UsageError when the key is not there.
    """

    def __init__(self, path: Path, capacity: int = CAPACITY, keys: KeyRing | None = None) -> None:
        self.path = path
        self._capacity, self._keys = capacity, keys
        self._stats = stats_of(path)

    def adopt_keys(self) -> None:
        """Seal what there is with the first key, if it is not; of the program that writes the letters."""
        if self.path.exists():
            with self._connection() as connection:
                self._prepare(connection)

    def _prepare(self, connection: sqlite3.Connection) -> Cipher:
        connection.execute("PRAGMA journal_mode = wal")
        for statement in _SCHEMA:
            connection.execute(statement)
        return adopt_keys(connection, self._keys, _SEALED, self.path)

    def add(self, rows: Sequence[DeadLetterRow]) -> None:
        """Write them in one transaction; the oldest go when there are more than the capacity, and are counted."""
        with self._connection(create=True) as connection:
            cipher = self._prepare(connection)
            with sqlite.transaction(connection):
                last = int(connection.execute(_LAST).fetchone()[0])
                numbered = [replace(row, id=last + count) for count, row in enumerate(rows, 1)]
                connection.executemany(_INSERT, [astuple(_each_text(row, cipher.seal)) for row in numbered])
                evicted = connection.execute(_TRIM, (self._capacity,)).rowcount
                if evicted:
                    connection.execute(_COUNT, (evicted,))

    def all(self, limit: int = -1) -> list[DeadLetterRow]:
        """Every letter, or only so many of the `limit`; the oldest first."""
        nothing: list[DeadLetterRow] = []
        query = _SELECT + " ORDER BY id DESC LIMIT ?"
        rows = self._read(
            lambda connection: [self._opened(connection, row) for row in connection.execute(query, (limit,))], nothing
        )
        return rows[::-1]

    def get(self, number: int) -> DeadLetterRow | None:
        """The letter of this number."""
        nothing: list[DeadLetterRow] = []
        query = _SELECT + " WHERE id = ?"
        found = self._read(
            lambda connection: [self._opened(connection, row) for row in connection.execute(query, (number,))], nothing
        )
        return found[0] if found else None

    def _opened(self, connection: sqlite3.Connection, row: tuple[Any, ...]) -> DeadLetterRow:
        return _each_text(DeadLetterRow(*row), present_cipher(connection, self._keys, self.path).unseal)

    def evicted_count(self) -> int:
        """How many went because there were too many."""
        row = self._read(
            lambda connection: connection.execute("SELECT value FROM figures WHERE name = 'forgotten'").fetchone(), None
        )
        return 0 if row is None else int(row[0])

    def mark_replayed(self, number: int, at: float) -> None:
        """Say that it was replayed."""
        with self._connection() as connection, connection:
            connection.execute("UPDATE letters SET replayed = ? WHERE id = ?", (at, number))

    def drop(self, number: int) -> bool:
        """Forget one; False when there is none of this number."""
        return bool(self.drop_all([number]))

    def drop_all(self, numbers: Sequence[int]) -> set[int]:
        """Forget these, in one transaction; those that there were."""
        nothing: set[int] = set()
        delete = "DELETE FROM letters WHERE id = ?"
        return self._read(lambda file: {each for each in numbers if file.execute(delete, (each,)).rowcount}, nothing)

    def count(self) -> int:
        """How many there are."""
        return self._read(lambda connection: int(connection.execute("SELECT count(*) FROM letters").fetchone()[0]), 0)

    def fingerprint(self) -> tuple[tuple[int, int], ...]:
        """Something that changes with the file, whoever writes to it; costs no query."""
        return tuple(map(size_and_time, (self.path, self.path.with_name(f"{self.path.name}-wal"))))

    def clear(self) -> int:
        """Forget all; how many they were."""
        return self._read(lambda connection: connection.execute("DELETE FROM letters").rowcount, 0)

    def _read(self, query: Callable[[sqlite3.Connection], Item], nothing: Item) -> Item:
        if not self.path.exists():
            return nothing
        with self._connection() as connection, connection:
            return query(connection)

    @contextmanager
    def _connection(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if create:
                ensure_private_file(self.path)
            with closing(sqlite.connect_briefly(self.path, self._stats)) as connection:
                yield connection
        except OSError as error:
            raise StoreError(f"the dead letters can not be kept in {self.path}: {error.strerror}") from error
        except sqlite3.Error as error:
            if sqlite.is_damage(error):
                raise StoreCorrupt(f"{self.path} is damaged or no database: {error}") from error
            raise StoreError(f"the dead letters in {self.path} can not be used: {error}") from error


def _each_text(row: DeadLetterRow, change: Callable[..., Any]) -> DeadLetterRow:
    """The row with its texts sealed, or unsealed."""
    return replace(row, **{name: change(getattr(row, name), "letters", row.id) for name in _TEXTS})


class DeadLetterWriter:
    """Takes dead letters from any thread without blocking, and writes them in a thread of its own.

    `lost`: letters that could not be kept, because the queue was full or the file refused.
    """

    def __init__(self, file: DeadLetterDb) -> None:
        self._file = file
        self._queue: queue.SimpleQueue[Callable[[], DeadLetterRow] | threading.Event | None] = queue.SimpleQueue()
        self.lost = 0
        self._rested = 0.0
        self._thread = threading.Thread(target=self._work, name="letters", daemon=True)
        self._thread.start()

    def add(self, make: Callable[[], DeadLetterRow]) -> None:
        """Have the row written that `make` gives; it is called in the writer's thread."""
        if self._queue.qsize() >= QUEUED:
            self.lost += 1
        else:
            self._queue.put(make)

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until what was added so far is in the file, or could not be written; False after `seconds`."""
        written = threading.Event()
        self._queue.put(written)
        return written.wait(seconds)

    def close(self) -> None:
        """Write what is left and end."""
        self._queue.put(None)
        self._thread.join(FLUSH_SECONDS)

    def _work(self) -> None:
        going = True
        while going:
            items = self._batch()
            self._write([item for item in items if item is not None and not isinstance(item, threading.Event)])
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            going = None not in items

    def _batch(self) -> list[Callable[[], DeadLetterRow] | threading.Event | None]:
        """What is to be written in one go: somebody who waits for it ends it."""
        items = [self._queue.get()]
        while callable(items[-1]) and len(items) < BATCH:
            remaining = self._rested - time.monotonic()
            try:
                items.append(self._queue.get(timeout=remaining) if remaining > 0 else self._queue.get_nowait())
            except queue.Empty:
                if remaining <= 0:
                    break
        return items

    def _write(self, makers: Sequence[Callable[[], DeadLetterRow]]) -> None:
        if not makers:
            return
        try:
            rows = [make() for make in makers]
            try:
                self._file.add(rows)
            except StoreCorrupt as error:
                self._set_aside(error)
                self._file.add(rows)
        except Exception as error:  # noqa: BLE001 - the writer lives as long as its process, with the file or without
            self.lost += len(makers)
            log.warning("%d dead letters could not be kept: %s", len(makers), error)
        self._rested = time.monotonic() + LINGER

    def _set_aside(self, error: StoreCorrupt) -> None:
        aside = self._file.path.with_suffix(".damaged")
        log.warning("%s; it is now %s, and a new one is begun", error, aside)
        self._file.path.replace(aside)
        for ending in ("-wal", "-shm"):
            Path(f"{self._file.path}{ending}").unlink(missing_ok=True)
