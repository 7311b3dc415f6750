"""The SQLite file: rows in, rows out. Called by one thread at a time; knows nothing of revisions' meaning."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import StoreCorrupt, StoreError
from ...osutil import sqlite
from ...osutil.cipher import PLAIN, Cipher, KeyRing
from ...osutil.sealed_tables import SealedTable, adopt_keys

FORMAT = 1
BUSY_SECONDS = 1.0
CACHE_KIB = 512
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, body BLOB NOT NULL, owned BLOB,
    PRIMARY KEY (resource, namespace, name)
);
CREATE TABLE IF NOT EXISTS counter (only INTEGER PRIMARY KEY CHECK (only = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 1);
"""
SEALED = (SealedTable("objects", ("resource", "namespace", "name"), ("body",)),)
PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)"
REMOVE = "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?"


class Row(NamedTuple):
    """One stored object; `body` None removes it. `managed_fields` is what field managers own, as JSON, or None."""

    resource: str
    namespace: str
    name: str
    revision: int
    body: bytes | None
    managed_fields: bytes | None = None


class Database:
    """One file (or `:memory:`), opened for this process alone. A write has reached the disk when `write` returns.

    `keys`: seal the objects. UsageError when they are sealed and the key is not there.
    """

    def __init__(self, path: Path | str, keys: KeyRing | None = None) -> None:
        self._path = path
        self._cipher: Cipher = PLAIN
        with self._translated():
            make_private_all(path)
            self._connection = sqlite.connect(path, timeout=BUSY_SECONDS)
            self._file = sqlite.FileInPlace(path, self._connect)
            try:
                self._prepare()
                self._cipher = adopt_keys(self._connection, keys, SEALED, path)
            except BaseException:
                self._connection.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite.connect(self._path, timeout=BUSY_SECONDS)
        _configure(connection)
        return connection

    def _prepare(self) -> None:
        _configure(self._connection)
        version = sqlite.user_version(self._connection)
        if version not in (0, FORMAT):
            raise StoreError(f"{self._path} was written by another version of this program (format {version})")
        self._connection.executescript(SCHEMA)
        self._connection.execute(f"PRAGMA user_version={FORMAT}")

    def rows(self) -> Iterator[Row]:
        """All objects, in key order."""
        with self._translated():
            for row in self._connection.execute("SELECT * FROM objects ORDER BY resource, namespace, name"):
                yield self._unsealed(Row(*row))

    def revision(self) -> int:
        """The last revision that was committed."""
        with self._translated():
            return int(self._connection.execute("SELECT revision FROM counter").fetchone()[0])

    def write(self, rows: Sequence[Row], revision: int) -> None:
        """All rows in one transaction, on disk when this returns; on an error none of them."""
        with self._translated():
            self._connection = self._file.kept(self._connection)
            run = self._connection.execute
            with sqlite.transaction(self._connection):
                for row in rows:
                    if row.body is None:
                        run(REMOVE, row[:3])
                    else:
                        run(PUT, (*row[:4], self._cipher.seal(row.body, "objects", *row[:3]), row.managed_fields))
                run("UPDATE counter SET revision = ?", (revision,))

    def _unsealed(self, row: Row) -> Row:
        body = self._cipher.unseal(row.body, "objects", *row[:3])
        return row._replace(body=body.encode() if isinstance(body, str) else body)

    def close(self) -> None:
        """Folds the log into the file and closes it."""
        with self._translated():
            self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self._path} cannot be used: {error.strerror}") from error
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:  # its subclasses do not mean that the file is damaged
                raise StoreCorrupt(f"{self._path} is not a database or is damaged ({error}); move it away") from error
            if "locked" in str(error):
                raise StoreError(f"{self._path} is in use by another process") from error
            raise StoreError(f"{self._path} cannot be used: {error}") from error


def _configure(connection: sqlite3.Connection) -> None:
    sqlite.configure(connection, locking_mode="EXCLUSIVE", cache_size=-CACHE_KIB)


def make_private_all(path: Path | str) -> None:
    """The file and what SQLite puts beside it are for their owner only, whoever made it: there are secrets in it."""
    for beside in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):  # SQLite makes these when it needs them, with the rights of the first
            os.chmod(f"{path}{beside}", 0o600)
