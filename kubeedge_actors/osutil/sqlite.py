"""SQLite files as all of ours are: private, a write-ahead log, synchronous=FULL, transactions begun at once."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kubeedge_actors.osutil.commit_stats import CommitStats, stats_of
from kubeedge_actors.osutil.files import ensure_private_file, sync_directory

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long a statement waits for another program that writes."""
DURABLE: dict[str, object] = {"journal_mode": "wal", "synchronous": "full", "journal_size_limit": 4 * 1024 * 1024}
"""Pragmas with which what is committed survives a power cut."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class CountedConnection(sqlite3.Connection):
    """A connection that knows the figures of its file. `stats`: None for one in memory."""

    stats: CommitStats | None = None


def connect(path: Path | str, *, timeout: float = BUSY_SECONDS, statements: int = 48) -> sqlite3.Connection:
    """A connection for any thread, to a file that is made (0600) if it is not there; what it does is committed at once
    outside a transaction. `statements`: prepared ones that are kept. Errors: OSError, sqlite3.Error.
    """
    in_memory = str(path) == ":memory:"
    if not in_memory:
        ensure_private_file(path)
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=statements,
        factory=CountedConnection,
    )  # fmt: skip
    connection.stats = None if in_memory else stats_of(Path(path))
    return connection


def connect_briefly(path: Path, stats: CommitStats) -> sqlite3.Connection:
    """A connection for a few statements, to a file that is there; whoever has many of them keeps the figures. Error: sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, factory=CountedConnection)
    connection.stats = stats
    return connection


class FileInPlace:
    """The file of a connection, by its name: who removes it while it is in use does not take along what is in it.

    `connect`: opens it, to be written as it is meant to be.
    """

    def __init__(self, path: Path | str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._path, self._connect = Path(path), connect
        self._identity = None if str(path) == ":memory:" else _identity(self._path)

    def kept(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """The connection to go on with: another one when the file was gone and had to be put back. To be asked before each
        transaction, outside of one. Errors: OSError, also when another file is in its place; sqlite3.Error.
        """
        if self._identity is None:
            return connection
        found = _identity(self._path)
        if found == self._identity:
            return connection
        if found is not None:
            raise OSError(errno.ESTALE, "another file has taken its place, which the next start uses")
        log.warning("%s was removed while it was in use: it is put back with all that was in it", self._path)
        self._put_back(connection)
        self._identity = _identity(self._path)
        with contextlib.closing(connection):  # not before: the figures of a file last as long as one that is open
            return self._connect()

    def _put_back(self, connection: sqlite3.Connection) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        ensure_private_file(fresh)
        with contextlib.closing(sqlite3.connect(fresh)) as copy:
            connection.backup(copy)
        for ending in ("-wal", "-shm"):  # of the old file: they would be read into the new one
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        fresh.replace(self._path)
        sync_directory(self._path.parent)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name; None for none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def configure(connection: sqlite3.Connection, **pragmas: object) -> None:
    """Make it durable; `pragmas` come first. Errors: sqlite3.Error, of a file that is no database too."""
    for name, value in {**pragmas, **DURABLE}.items():
        connection.execute(f"PRAGMA {name} = {value}")


def is_sound(connection: sqlite3.Connection) -> bool:
    """Whether a quick check finds no damage."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return bool(verdict == "ok")


def user_version(connection: sqlite3.Connection) -> int:
    """The number of the format that the file has; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def primary_error_code(error: sqlite3.Error) -> int:
    """What sort of error it is, an `sqlite3.SQLITE_*`: the low byte of its code, the rest is the variety; 0 for none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is damaged, or no database."""
    return isinstance(error, sqlite3.Error) and primary_error_code(error) in _DAMAGED


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin at once as the one writer, and commit; nothing of it when anything fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        _commit(connection)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _commit(connection: sqlite3.Connection) -> None:
    began = time.monotonic()
    connection.execute("COMMIT")
    stats = connection.stats if isinstance(connection, CountedConnection) else None
    if stats is not None:
        ended = time.monotonic()
        stats.record(ended - began, ended)
