"""SQLite files as all of ours are: private, a write-ahead log, synchronous=FULL, transactions begun at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubeedge_actors.osutil.commit_stats import CommitStats, stats_of
from kubeedge_actors.osutil.files import ensure_private_file

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
