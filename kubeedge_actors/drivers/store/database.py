"""One SQLite file: write-ahead log, synchronous=FULL, one connection, one writer, and foreign errors in our words.

A database that is new or up to date needs Python's own sqlite3 and nothing more; peewee, which costs 3 MB, is imported to bring an
older one, or the original's, up to date (migration.py).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubeedge_actors.drivers.store import schema
from kubeedge_actors.errors import StoreCorrupt, StoreError

Step = tuple[str, Sequence[tuple[Any, ...]]]
"""One statement and the rows it is executed with."""

PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -512,  # KiB; what an edge reads again is small
    "journal_size_limit": 4 * 1024 * 1024,
}
BUSY_SECONDS = 5.0
STATEMENTS = 48  # prepared ones that are kept


class DatabaseFile:
    """The file `path`, made with mode 0600 if it is not there; `StoreCorrupt` or `StoreError` in one sentence."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._translated():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = _connect(path)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        with self._lock, self._translated():
            return self._connection.execute(query, values).fetchall()

    def write(self, *steps: Step) -> None:
        """Execute the steps that have rows, in one transaction; committed when it returns."""
        due = [step for step in steps if step[1]]
        if not due:
            return
        with self._lock, self._translated(), _transaction(self._connection):
            for statement, rows in due:
                self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Give the file back; every later call is a StoreError."""
        with self._lock, self._translated():
            self._connection.close()

    def _prepare(self) -> None:
        """Look whether it is sound, and give it the newest tables."""
        with self._translated():
            for name, value in PRAGMAS.items():
                self._connection.execute(f"PRAGMA {name} = {value}")
            (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._corrupt()
        ((version,),) = self.rows("PRAGMA user_version")
        if version > len(schema.MIGRATIONS):
            raise StoreError(f"the database {self._path} was written by a newer version of this program")
        if version < len(schema.MIGRATIONS):
            self._bring_up_to_date(version)

    def _bring_up_to_date(self, version: int) -> None:
        ((tables,),) = self.rows("SELECT count(*) FROM sqlite_master")
        with self._translated():
            if tables:
                from kubeedge_actors.drivers.store.migration import migrate  # late: it needs peewee

                migrate(self._path, version, BUSY_SECONDS)
                return
            with _transaction(self._connection):
                for step in schema.MIGRATIONS:
                    for statement in schema.statements(step):
                        self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._named(error) from error
        except OSError as error:
            raise StoreError(f"the database {self._path} can not be opened: {error.strerror}") from error

    def _named(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest its variety
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self._corrupt()
        if code == sqlite3.SQLITE_FULL:
            return StoreError(f"the disk is full: {self._path} can not grow")
        if code == sqlite3.SQLITE_IOERR:
            return StoreError(f"the disk refused: {self._path} could not be read or written")
        if code == sqlite3.SQLITE_BUSY:
            return StoreError(f"the database {self._path} is locked by another program")
        return StoreError(f"the database {self._path} refused: {error}")

    def _corrupt(self) -> StoreCorrupt:
        return StoreCorrupt(
            f"{self._path} is damaged or is not an SQLite database: put a copy in its place, "
            "or move it away (with its -wal and -shm files) to start with an empty one"
        )


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin at once as the one writer, and commit; nothing of it when anything fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
