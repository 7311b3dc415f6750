"""A Store in one SQLite file, through peewee: write-ahead log, synchronous=FULL, one connection, one writer.

Reads use peewee's query builder. Writes are plain statements with `executemany`, in one IMMEDIATE transaction each: the ORM would
cost 100-120 us a row, more than a commit shared by many rows.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee

from kubeedge_actors.drivers.store import schema
from kubeedge_actors.drivers.store.base import (
    AttributeRow,
    DesiredRow,
    DeviceRow,
    MetaChanges,
    MetaRow,
    ObjectRow,
    OutboxRow,
    TwinChanges,
    TwinRow,
)
from kubeedge_actors.errors import StoreCorrupt, StoreError

# peewee makes a table's columns attributes at run time, which its stubs can not say: Any
META: Any = peewee.Table("meta", schema.META)
OBJECT: Any = peewee.Table("meta_v2", schema.OBJECT)
DEVICE: Any = peewee.Table("device", schema.DEVICE)
ATTRIBUTE: Any = peewee.Table("device_attr", schema.ATTRIBUTE)
TWIN: Any = peewee.Table("device_twin", schema.TWIN)
DESIRED: Any = peewee.Table("desired", schema.DESIRED)
OUTBOX: Any = peewee.Table("outbox", schema.OUTBOX)

Step = tuple[str, Sequence[tuple[Any, ...]]]
"""One statement and the rows it is executed with."""

PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -512,  # KiB; what an edge reads again is small
    "journal_size_limit": 4 * 1024 * 1024,
}
BUSY_SECONDS = 5
IDS_PER_QUERY = 500  # SQLite's limit of variables is 999 in old builds


def _insert(table: str, columns: Sequence[str], identity: Sequence[str]) -> str:
    """INSERT that replaces the columns of the row with the same identity and keeps the row's id."""
    replaced = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in identity)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT ({', '.join(identity)}) DO UPDATE SET {replaced}"
    )


PUT_META = _insert("meta", schema.META, ["key"])
PUT_OBJECT = _insert("meta_v2", schema.OBJECT, ["key"])
PUT_DEVICE = _insert("device", schema.DEVICE, ["id"])
PUT_ATTRIBUTE = _insert("device_attr", schema.ATTRIBUTE, ["deviceid", "name"])
PUT_TWIN = _insert("device_twin", schema.TWIN, ["deviceid", "name"])
PUT_DESIRED = _insert("desired", schema.DESIRED, ["deviceid", "name"])
PUT_OUTBOX = "INSERT INTO outbox (msg_id, frame, key) VALUES (?, ?, ?) ON CONFLICT (msg_id) DO NOTHING"


class SqliteStore:
    """A Store in the file `path`, made with mode 0600 if it is not there; `StoreCorrupt` or `StoreError` in one sentence."""

    def __init__(self, path: str | Path) -> None:
        self._file = _File(Path(path))
        self.meta = _Meta(self._file)
        self.twin = _Twin(self._file)
        self.outbox = _Outbox(self._file)
        self.topics = _Names(self._file, "sub_topics", "topic")
        self.targets = _Names(self._file, "target_urls", "url")

    def close(self) -> None:
        """Give the file back; every later call is a StoreError."""
        self._file.close()


class _File:
    """The one connection: a lock around it, transactions, and foreign errors in our words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._database: Any = peewee.SqliteDatabase(
            str(path),
            pragmas=PRAGMAS,
            timeout=BUSY_SECONDS,
            thread_safe=False,  # the lock above is what makes it safe; peewee's own way is a connection per thread
            check_same_thread=False,
            autoconnect=False,
        )
        with self._translated():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database.connect()
        try:
            self._check()
            self._migrate()
        except StoreError:
            self.close()
            raise

    def rows(self, query: peewee.Select) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        with self._lock, self._translated():
            return list(query.tuples().execute(self._database))

    def write(self, *steps: Step) -> None:
        """Execute the steps that have rows, in one transaction; committed when it returns."""
        due = [step for step in steps if step[1]]
        if not due:
            return
        with self._lock, self._translated(), self._database.transaction("IMMEDIATE"):
            connection = self._database.connection()
            for statement, rows in due:
                connection.executemany(statement, rows)

    def close(self) -> None:
        with self._lock, self._translated():
            if not self._database.is_closed():
                self._database.close()

    def _check(self) -> None:
        with self._translated():
            (verdict,) = self._database.execute_sql("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._corrupt()

    def _migrate(self) -> None:
        with self._translated():
            (version,) = self._database.execute_sql("PRAGMA user_version").fetchone()
            if version > len(schema.STEPS):
                raise StoreError(f"the database {self._path} was written by a newer version of this program")
            for number in range(version, len(schema.STEPS)):
                with self._database.transaction("IMMEDIATE"):
                    for statement in schema.statements(schema.STEPS[number]):
                        self._database.execute_sql(statement)
                    self._database.execute_sql(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except peewee.PeeweeException as error:
            raise self._named(_innermost(error)) from error
        except sqlite3.Error as error:
            raise self._named(error) from error
        except OSError as error:
            raise StoreError(f"the database {self._path} can not be opened: {error.strerror}") from error

    def _named(self, error: object) -> StoreError:
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


def _innermost(error: BaseException) -> BaseException:
    """The error of sqlite3, which has the code: peewee raises its own while it handles that one."""
    while isinstance(error, peewee.PeeweeException) and error.__context__ is not None:
        error = error.__context__
    return error


class _Meta:
    def __init__(self, file: _File) -> None:
        self._file = file

    def get(self, key: str) -> MetaRow | None:
        found = self._file.rows(META.select().where(META.key == key))
        return _meta_row(found[0]) if found else None

    def of_type(self, type: str) -> list[MetaRow]:
        return [_meta_row(row) for row in self._file.rows(META.select().where(META.type == type).order_by(META.key))]

    def apply(self, changes: MetaChanges) -> None:
        self._file.write(
            ("DELETE FROM meta WHERE key = ?", [(key,) for key in changes.removed]),
            ("DELETE FROM meta_v2 WHERE key = ?", [(key,) for key in changes.removed_objects]),
            (PUT_META, [(row.key, row.type, row.value) for row in changes.put]),
            (
                PUT_OBJECT,
                [
                    (row.key, row.group_version_resource, row.namespace, row.name, row.resource_version, row.value)
                    for row in changes.objects
                ],
            ),
        )

    def put(self, rows: Iterable[MetaRow]) -> None:
        self.apply(MetaChanges(put=list(rows)))

    def remove(self, keys: Iterable[str]) -> None:
        self.apply(MetaChanges(removed=list(keys)))

    def object(self, key: str) -> ObjectRow | None:
        found = self._file.rows(OBJECT.select().where(OBJECT.key == key))
        return ObjectRow(*found[0]) if found else None

    def objects(self, group_version_resource: str, namespace: str = "") -> list[ObjectRow]:
        query = OBJECT.select().where(OBJECT.group_version_resource == group_version_resource)
        if namespace:
            query = query.where(OBJECT.namespace == namespace)
        return [ObjectRow(*row) for row in self._file.rows(query.order_by(OBJECT.key))]


def _meta_row(row: tuple[Any, ...]) -> MetaRow:
    return MetaRow(*(value or "" for value in row))  # the original's columns may be NULL


class _Twin:
    def __init__(self, file: _File) -> None:
        self._file = file

    def devices(self) -> list[DeviceRow]:
        found = self._file.rows(DEVICE.select().order_by(DEVICE.id))
        return [DeviceRow(*(value or "" for value in row)) for row in found]

    def twins(self) -> list[TwinRow]:
        found = self._file.rows(TWIN.select().order_by(TWIN.deviceid, TWIN.name))
        return [_twin_row(row) for row in found]

    def attributes(self) -> list[AttributeRow]:
        found = self._file.rows(ATTRIBUTE.select().order_by(ATTRIBUTE.deviceid, ATTRIBUTE.name))
        return [
            AttributeRow(device, name, value or "", bool(optional), kind or "", metadata or "")
            for device, name, value, optional, kind, metadata in found
        ]

    def desired(self) -> list[DesiredRow]:
        found = self._file.rows(DESIRED.select().order_by(DESIRED.deviceid, DESIRED.name))
        return [DesiredRow(*row) for row in found]

    def apply(self, changes: TwinChanges) -> None:
        gone = [(device,) for device in changes.removed_devices]
        self._file.write(
            ("DELETE FROM device WHERE id = ?", gone),
            *((f"DELETE FROM {table} WHERE deviceid = ?", gone) for table in ("device_attr", "device_twin", "desired")),
            ("DELETE FROM device_twin WHERE deviceid = ? AND name = ?", changes.removed_twins),
            ("DELETE FROM device_attr WHERE deviceid = ? AND name = ?", changes.removed_attributes),
            (PUT_DEVICE, [(r.id, r.name, r.description, r.state, r.last_online) for r in changes.devices]),
            (PUT_TWIN, [_twin_values(row) for row in changes.twins]),
            (
                PUT_ATTRIBUTE,
                [(r.device, r.name, r.value, r.optional, r.attr_type, r.metadata) for r in changes.attributes],
            ),
            (PUT_DESIRED, [(row.device, row.name, row.value) for row in changes.desired]),
            (PUT_OUTBOX, _outbox_values(changes.reports)),
        )


def _twin_row(row: tuple[Any, ...]) -> TwinRow:
    texts: dict[str, Any] = dict(zip(schema.TWIN[4:], (value or "" for value in row[4:]), strict=True))  # or NULL
    return TwinRow(*row[:4], **{**texts, "optional": bool(row[8])})


def _twin_values(row: TwinRow) -> tuple[Any, ...]:
    meta = (row.expected_meta, row.actual_meta, row.expected_version, row.actual_version)
    return (row.device, row.name, row.expected, row.actual, *meta, row.optional, row.attr_type, row.metadata)


class _Outbox:
    def __init__(self, file: _File) -> None:
        self._file = file

    def apply(self, added: Sequence[OutboxRow], removed: Sequence[str]) -> None:
        self._file.write(
            ("DELETE FROM outbox WHERE msg_id = ?", [(msg_id,) for msg_id in removed]),
            (PUT_OUTBOX, _outbox_values(added)),
        )

    def holds(self, msg_ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(msg_ids), IDS_PER_QUERY):
            asked = list(msg_ids[start : start + IDS_PER_QUERY])
            rows = self._file.rows(OUTBOX.select(OUTBOX.msg_id).where(OUTBOX.msg_id.in_(asked)))
            found.update(msg_id for (msg_id,) in rows)
        return found

    def waiting(self, *, keyed: bool | None = None, after: int = 0, limit: int = 0) -> list[OutboxRow]:
        query = OUTBOX.select().where(OUTBOX.number > after).order_by(OUTBOX.number)
        if keyed is not None:
            query = query.where((OUTBOX.key != "") if keyed else (OUTBOX.key == ""))
        return [OutboxRow(*row) for row in self._file.rows(query.limit(limit) if limit else query)]

    def count(self) -> int:
        ((number,),) = self._file.rows(OUTBOX.select(peewee.fn.COUNT(OUTBOX.number)))
        return int(number)


def _outbox_values(rows: Sequence[OutboxRow]) -> list[tuple[Any, ...]]:
    return [(row.msg_id, row.frame, row.key) for row in rows]


class _Names:
    def __init__(self, file: _File, table: str, column: str) -> None:
        self._file = file
        self._table = peewee.Table(table, (column,))
        self._insert = f"INSERT INTO {table} ({column}) VALUES (?) ON CONFLICT ({column}) DO NOTHING"
        self._delete = f"DELETE FROM {table} WHERE {column} = ?"

    def all(self) -> list[str]:
        return sorted(name for (name,) in self._file.rows(self._table.select()))

    def add(self, name: str) -> None:
        self._file.write((self._insert, [(name,)]))

    def remove(self, name: str) -> None:
        self._file.write((self._delete, [(name,)]))
