"""One SQLite file: write-ahead log, synchronous=FULL, one connection, one writer, and foreign errors in our words.

A database that is new or up to date needs Python's own sqlite3 and nothing more; peewee, which costs 3 MB, is imported to bring an
older one, or the original's, up to date (migration.py).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubeedge_actors.drivers.store import schema
from kubeedge_actors.errors import StoreCorrupt, StoreError
from kubeedge_actors.osutil import sqlite
from kubeedge_actors.osutil.cipher import PLAIN, Cipher, KeyRing
from kubeedge_actors.osutil.sealed_tables import adopt_keys
from kubeedge_actors.osutil.sqlite import BUSY_SECONDS

Step = tuple[str, Sequence[tuple[Any, ...]]]
"""One statement and the rows it is executed with."""

CACHE_KIB = 512
"""What an edge reads again is small."""


class DatabaseFile:
    """The file `path`, made with mode 0600 if it is not there; `StoreCorrupt` or `StoreError` in one sentence.

    `cipher`: for the values of the tables in `schema.SEALED`; UsageError when they are sealed and `keys` lack the key.
    """

    def __init__(self, path: Path, keys: KeyRing | None = None) -> None:
        self._path = path
        self.cipher: Cipher = PLAIN
        self._lock = threading.RLock()
        with self._translated("opened"):
            self._connection = sqlite.connect(path, timeout=BUSY_SECONDS)
            self._file = sqlite.FileInPlace(path, self._connect)
        try:
            self._prepare()
            with self._translated():
                self.cipher = adopt_keys(self._connection, keys, schema.SEALED, path)
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
        with self._lock, self._translated():
            self._connection = self._file.kept(self._connection)
            with sqlite.transaction(self._connection):
                for statement, rows in due:
                    self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Give the file back; every later call is a StoreError."""
        with self._lock, self._translated():
            self._connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite.connect(self._path, timeout=BUSY_SECONDS)
        sqlite.configure(connection, cache_size=-CACHE_KIB)
        return connection

    def _prepare(self) -> None:
        """Look whether it is sound, and give it the newest tables."""
        with self._translated():
            sqlite.configure(self._connection, cache_size=-CACHE_KIB)
            if not sqlite.is_sound(self._connection):
                raise self._corrupt()
            version = sqlite.user_version(self._connection)
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
            with sqlite.transaction(self._connection):
                for step in schema.MIGRATIONS:
                    for statement in schema.statements(step):
                        self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")

    @contextmanager
    def _translated(self, verb: str = "used") -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._store_error(error) from error
        except OSError as error:
            raise StoreError(f"the database {self._path} can not be {verb}: {error.strerror}") from error

    def _store_error(self, error: sqlite3.Error) -> StoreError:
        if sqlite.is_damage(error):
            return self._corrupt()
        code = sqlite.primary_error_code(error)
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
