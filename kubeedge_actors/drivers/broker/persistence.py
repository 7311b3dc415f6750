"""The broker's persistent state in one SQLite file, written by a thread of its own with group commit."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from kubeedge_actors.drivers.broker.acl import ClientIdentity
from kubeedge_actors.drivers.broker.outgoing import MAX_PACKET_ID
from kubeedge_actors.drivers.broker.packets import Publish, checked_filter, checked_publish
from kubeedge_actors.drivers.broker.unit_of_work import ChangeSet, StoredMessage, StoredState
from kubeedge_actors.errors import BrokerError, StoreCorrupt, StoreError
from kubeedge_actors.osutil import sqlite

log = logging.getLogger(__name__)

VERSION = 1
AGAIN = 1.0
"""Seconds until a commit that was refused (disk full) is tried again; meanwhile nothing is acknowledged that rests upon it."""
CACHE_KIB = 256
_SCHEMA = (
    "CREATE TABLE client (id TEXT PRIMARY KEY, user TEXT) WITHOUT ROWID",
    "CREATE TABLE subscription (client TEXT, filter TEXT, qos INTEGER, PRIMARY KEY (client, filter)) WITHOUT ROWID",
    "CREATE TABLE message (number INTEGER PRIMARY KEY, client TEXT, packet_id INTEGER, released INTEGER, topic TEXT,"
    " payload BLOB, qos INTEGER, retain INTEGER)",
    "CREATE TABLE received (client TEXT, packet_id INTEGER, PRIMARY KEY (client, packet_id)) WITHOUT ROWID",
    "CREATE TABLE retained (topic TEXT PRIMARY KEY, payload BLOB, qos INTEGER) WITHOUT ROWID",
    f"PRAGMA user_version = {VERSION}",
)
_MESSAGE_COLUMNS = "number, client, packet_id, released, topic, payload, qos, retain"
TOLD = 10
"""Rows of one table whose removal is told one by one."""
Row = tuple[Any, ...]
Committed = Callable[[int], None]


class SqlitePersistence:
    """The file at `path`, made with mode 0600 if it is not there. Errors: StoreError, StoreCorrupt, in one sentence.

    `committed(turn)` is called, on the writer's thread, when everything up to this turn is committed.
    """

    def __init__(self, path: Path, committed: Committed) -> None:
        self._path, self._committed = path, committed
        self._lock = threading.Condition()
        self._pending: ChangeSet | None = None
        self._turn = 0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._connection: sqlite3.Connection | None = None
        self._file: sqlite.FileInPlace | None = None

    def open(self) -> None:
        """Open the file; does nothing when it is open."""
        if self._connection is not None:
            return
        try:
            connection = sqlite.connect(self._path)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise self._store_error(error) from error
        connection.text_factory = _text
        self._connection, self._file = connection, sqlite.FileInPlace(self._path, self._connect)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite.connect(self._path)
        sqlite.configure(connection, cache_size=-CACHE_KIB)
        connection.text_factory = _text
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        sqlite.configure(connection, cache_size=-CACHE_KIB)
        if not sqlite.is_sound(connection):
            raise StoreCorrupt(f"the MQTT database {self._path} is damaged")
        version = sqlite.user_version(connection)
        if version > VERSION:
            raise StoreError(f"the MQTT database {self._path} was written by a newer version of this program")
        if version == 0:
            with sqlite.transaction(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)

    def load(self) -> StoredState:
        """The stored state; rows of unknown clients are left out.

        A row that could never be sent (an older version took text for a payload, somebody edited the file) is removed, and a
        WARNING names it and the reason.
        """
        try:
            clients = [ClientIdentity(*row) for row in self._valid_rows("client", "id, user", _client_fault)]
            subscriptions = self._valid_rows("subscription", "client, filter, qos", _subscription_fault)
            messages = self._valid_rows("message", _MESSAGE_COLUMNS, _MessageFaults())
            received = self._valid_rows("received", "client, packet_id", _received_fault)
            retained = self._valid_rows("retained", "topic, payload, qos", _retained_fault)
        except sqlite3.Error as error:
            raise self._store_error(error) from error
        return StoredState(
            clients=clients,
            subscriptions=[(client, filter, qos) for client, filter, qos in subscriptions],
            messages=[(n, StoredMessage(c, i, bool(d), t, p, q, bool(r))) for n, c, i, d, t, p, q, r in messages],
            received=[(client, packet_id) for client, packet_id in received],
            retained=[Publish(topic, payload, qos, True) for topic, payload, qos in retained],
        )

    def _valid_rows(self, table: str, columns: str, fault: Callable[[Row], str]) -> list[Row]:
        """The rows of a table by its key, without those that have a fault, which are removed. Error: sqlite3.Error."""
        assert self._connection is not None
        names = columns.split(", ")
        condition = "WHERE client IN (SELECT id FROM client)" if "client" in names else ""
        with closing(self._connection.execute(f"SELECT {columns} FROM {table} {condition} ORDER BY 1, 2")) as cursor:
            rows = cursor.fetchall()
        faults = [(row, reason) for row in rows if (reason := fault(row))]
        if not faults:
            return rows
        removed = {id(row) for row, _ in faults}
        rows = [row for row in rows if id(row) not in removed]
        with sqlite.transaction(self._connection):
            # a key may be of any type, and text that is no UTF-8: the sound rows can be named, the others can not
            self._connection.execute(f"DELETE FROM {table}")
            self._connection.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(names))})", rows
            )
        for _, reason in faults[:TOLD]:
            log.warning("the MQTT database %s: a row of %r is removed: %s", self._path, table, reason)
        if len(faults) > TOLD:
            log.warning("the MQTT database %s: %d more rows of %r are removed", self._path, len(faults) - TOLD, table)
        return rows

    def commit(self, turn: int, changes: ChangeSet) -> None:
        """Queue a change set to be committed. Turns come in order; never blocks."""
        with self._lock:
            self._turn = turn
            if self._pending is None:
                self._pending = changes
            else:
                self._pending.merge(changes)
            if self._thread is None:  # most nodes never remember anything: they need no thread for it
                self._thread = threading.Thread(target=self._run, name="broker-persistence", daemon=True)
                self._thread.start()
            self._lock.notify()

    def flush(self) -> None:
        """Write what is left, and end the thread."""
        with self._lock:
            thread, self._closing = self._thread, True
            self._lock.notify()
        if thread is not None:
            thread.join()
        self._thread, self._closing = None, False

    def close(self) -> None:
        """Write what is left and give the file back; it may be opened again."""
        self.flush()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self) -> None:
        reported = ""
        while True:
            with self._lock:
                while self._pending is None and not self._closing:
                    self._lock.wait()
                changes, turn, self._pending = self._pending, self._turn, None
            if changes is None:
                return
            try:
                self._write(changes)
            except (OSError, sqlite3.Error) as error:
                reported = self._on_write_failed(error, reported, changes)
                if self._closing:
                    return
                time.sleep(AGAIN)
            else:
                if reported:
                    log.warning("the MQTT database %s can be used again", self._path)
                reported = ""
                self._committed(turn)

    def _on_write_failed(self, error: Exception, reported: str, changes: ChangeSet) -> str:
        reason = str(self._store_error(error))
        if reason != reported:
            log.warning("%s; MQTT messages that have to be kept are not acknowledged until it works again", reason)
        with self._lock:
            if self._pending is not None:
                changes.merge(self._pending)
            self._pending = changes
        return reason

    def _write(self, changes: ChangeSet) -> None:
        assert self._connection is not None and self._file is not None
        self._connection = connection = self._file.kept(self._connection)
        with sqlite.transaction(connection):
            for statement, rows in _steps(changes):
                connection.executemany(statement, rows)

    def _store_error(self, error: Exception) -> StoreError:
        if sqlite.is_damage(error):
            return StoreCorrupt(f"the MQTT database {self._path} is damaged or is not a database")
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return StoreError(f"the MQTT database {self._path} can not be used: {reason}")


def _text(raw: bytes) -> str | bytes:
    """Text of the file; bytes when it is no UTF-8, which no column of text may hold."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _client_fault(row: Row) -> str:
    """Why a stored row is none; empty when it is sound. So are the functions that follow."""
    client_id, user = row
    sound = isinstance(client_id, str) and client_id and (user is None or isinstance(user, str))
    return "" if sound else "the client id or the user is not text"


def _subscription_fault(row: Row) -> str:
    _, filter, qos = row
    try:
        checked_filter(filter)
    except BrokerError as error:
        return str(error)
    return (
        "" if isinstance(qos, int) and 0 <= qos <= 2 else f"the QoS of a subscription is 0, 1 or 2 (filter {filter!r})"
    )


def _received_fault(row: Row) -> str:
    return "" if isinstance(row[1], int) and 0 < row[1] <= 65_535 else "it has no packet id"


def _retained_fault(row: Row) -> str:
    topic, payload, qos = row
    return _publish_fault(topic, payload, qos, True)


def _publish_fault(topic: object, payload: object, qos: object, retain: object) -> str:
    try:
        checked_publish(topic, payload, qos, retain)
    except BrokerError as error:
        return str(error)
    return ""


class _MessageFaults:
    """Of the rows of messages, one after the other."""

    def __init__(self) -> None:
        self._packet_ids: set[tuple[str, int]] = set()

    def __call__(self, row: Row) -> str:
        _, client, packet_id, released, topic, payload, qos, retain = row
        if (
            not all(isinstance(number, int) for number in (packet_id, released, qos))
            or not 0 <= packet_id <= MAX_PACKET_ID
        ):
            return f"its packet id, its state or its QoS is not a number (topic {topic!r:.200})"
        if packet_id and (client, packet_id) in self._packet_ids:
            return f"its packet id is used twice (topic {topic!r:.200})"
        self._packet_ids.add((client, packet_id))
        if not qos:
            return f"a message with QoS 0 waits for nobody (topic {topic!r:.200})"
        return _publish_fault(topic, payload, qos, bool(retain))


def _steps(changes: ChangeSet) -> Iterable[tuple[str, list[tuple[Any, ...]]]]:
    """The statements of one transaction; a number of a message is never used again, so additions come first."""
    if changes.messages:
        rows = [
            (number, row.client_id, row.packet_id, row.released, row.topic, row.payload, row.qos, row.retain)
            for number, row in changes.messages.items()
        ]
        yield "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
    if changes.updates:
        flights = [(i, released, released, number) for number, (i, released) in changes.updates.items()]
        yield (
            "UPDATE message SET packet_id = ?, released = ?, payload = CASE WHEN ? THEN x'' ELSE payload END WHERE number = ?",
            flights,
        )
    if changes.deleted:
        yield "DELETE FROM message WHERE number = ?", [(number,) for number in changes.deleted]
    if changes.clients:
        yield "DELETE FROM client WHERE id = ?", [(client,) for client in changes.clients]
        yield "INSERT INTO client VALUES (?, ?)", [(c.client_id, c.user) for c in changes.clients.values() if c]
    if changes.subscriptions:
        yield "DELETE FROM subscription WHERE client = ? AND filter = ?", list(changes.subscriptions)
        subscriptions = [(*key, qos) for key, qos in changes.subscriptions.items() if qos is not None]
        yield "INSERT INTO subscription VALUES (?, ?, ?)", subscriptions
    if changes.received:
        yield "DELETE FROM received WHERE client = ? AND packet_id = ?", list(changes.received)
        yield "INSERT INTO received VALUES (?, ?)", [key for key, present in changes.received.items() if present]
    if changes.retained:
        yield "DELETE FROM retained WHERE topic = ?", [(topic,) for topic in changes.retained]
        yield "INSERT INTO retained VALUES (?, ?, ?)", [(t, *row) for t, row in changes.retained.items() if row]
