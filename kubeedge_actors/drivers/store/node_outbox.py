"""What waits for the nodes of a cloud, in one SQLite file: the one state that a cloud process keeps for itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from kubeedge_actors.drivers.store.base import NodeBacklog, NodeOutboxRow
from kubeedge_actors.errors import StoreCorrupt, StoreError, UsageError
from kubeedge_actors.osutil import sqlite
from kubeedge_actors.osutil.cipher import PLAIN, Cipher, KeyRing
from kubeedge_actors.osutil.sealed_tables import SealedTable, adopt_keys

FILE = "outbox.db"
Value = TypeVar("Value")


_COLUMNS = "node, msg_id, frame, expires_at, number, sender"
_FIRST = (
    "CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL,"
    " msg_id TEXT NOT NULL, frame TEXT NOT NULL, expires_at REAL NOT NULL, UNIQUE (node, msg_id))",
    "CREATE INDEX IF NOT EXISTS of_node ON messages (node, number)",
    "CREATE INDEX IF NOT EXISTS by_expiry ON messages (expires_at)",
)
_SENDER = ("ALTER TABLE messages ADD COLUMN sender TEXT NOT NULL DEFAULT ''",)
_MIGRATIONS = (_FIRST, _SENDER)
"""Step n takes `PRAGMA user_version` n to n + 1; a file of the first version has 0, too."""
_SEALED = (SealedTable("messages", ("node", "msg_id"), ("frame",)),)
_INSERT = (
    "INSERT INTO messages (node, msg_id, frame, expires_at, sender) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (node, msg_id) DO NOTHING"
)
_BACKLOGS = "SELECT node, count(*), sum(length(CAST(frame AS BLOB))) FROM messages GROUP BY node"


class NodeOutboxDb:
    """The messages in the file at `path` (":memory:" for none), made if it is not there. Errors of all methods: StoreError in one sentence.

    `keys`: seal the messages. UsageError when they are sealed and the key is not there.
    """

    def __init__(self, path: Path | str, keys: KeyRing | None = None) -> None:
        self._path = path
        self._cipher: Cipher = PLAIN
        try:
            self._connection = sqlite.connect(path)
            self._file = sqlite.FileInPlace(path, self._connect)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"what waits for nodes can not be kept in {path}: {error}") from error
        try:
            self._run(self._prepare)
            self._cipher = self._run(lambda connection: adopt_keys(connection, keys, _SEALED, path))
        except (StoreError, UsageError):
            self._connection.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite.connect(self._path)
        sqlite.configure(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        sqlite.configure(connection)
        version = sqlite.user_version(connection)
        if version > len(_MIGRATIONS):
            raise StoreError(f"what waits for nodes in {self._path} was written by a newer version of this program")
        if version == len(_MIGRATIONS):
            return
        with sqlite.transaction(connection):
            for statement in [each for step in _MIGRATIONS[version:] for each in step]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    def add(self, rows: Sequence[NodeOutboxRow]) -> list[NodeOutboxRow]:
        """Keep messages, in order, in one transaction that survives a power cut. Those of an id that waits for the node already, which are
        not kept twice.
        """
        with self._transaction() as connection:
            return [row for row in rows if not connection.execute(_INSERT, self._values(row)).rowcount]

    def remove(self, rows: Sequence[NodeOutboxRow]) -> None:
        """Forget messages, in one transaction."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM messages WHERE number = ?", [(row.number,) for row in rows])

    def of_node(self, node: str, after: int = 0, limit: int = -1) -> list[NodeOutboxRow]:
        """What waits for a node behind a number, in order, at most `limit`."""
        return self._select("WHERE node = ? AND number > ? ORDER BY number LIMIT ?", node, after, limit)

    def expired(self, now: float, limit: int) -> list[NodeOutboxRow]:
        """What has waited too long, at most `limit` of it."""
        return self._select("WHERE expires_at <= ? ORDER BY number LIMIT ?", now, limit)

    def backlogs(self) -> dict[str, NodeBacklog]:
        """How much waits for each node."""
        return self._run(lambda it: {node: NodeBacklog(count, size) for node, count, size in it.execute(_BACKLOGS)})

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _select(self, condition: str, *values: object) -> list[NodeOutboxRow]:
        query = f"SELECT {_COLUMNS} FROM messages {condition}"
        return self._run(lambda it: [self._row(*row) for row in it.execute(query, values)])

    def _row(self, node: str, msg_id: str, frame: str | bytes, *rest: Any) -> NodeOutboxRow:
        return NodeOutboxRow(node, msg_id, str(self._cipher.unseal(frame, "messages", node, msg_id)), *rest)

    def _values(self, row: NodeOutboxRow) -> tuple[object, ...]:
        frame = self._cipher.seal(row.frame, "messages", row.node, row.msg_id)
        return row.node, row.msg_id, frame, row.expires_at, row.sender

    def _run(self, question: Callable[[sqlite3.Connection], Value]) -> Value:
        with self._translating():
            return question(self._connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._translating():
            self._connection = self._file.kept(self._connection)
            with sqlite.transaction(self._connection):
                yield self._connection

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if sqlite.is_damage(error):
                raise StoreCorrupt(f"{self._path} is damaged or no database: {error}") from error
            raise StoreError(f"what waits for nodes can not be kept in {self._path}: {error}") from error
