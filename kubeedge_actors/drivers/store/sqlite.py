"""A Store in one SQLite file (database.py): what each part of it reads and writes, as plain statements.

An ORM would cost 100-120 us a row, more than a commit shared by many rows, and 3 MB of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kubeedge_actors.drivers.store import schema
from kubeedge_actors.drivers.store.base import (
    FOREVER,
    AttributeRow,
    DesiredRow,
    DeviceRow,
    HistoryRow,
    MetaChanges,
    MetaRow,
    ObjectRow,
    OutboxRow,
    TwinChanges,
    TwinRow,
)
from kubeedge_actors.drivers.store.database import DatabaseFile
from kubeedge_actors.osutil.cipher import Cipher, KeyRing

IDS_PER_QUERY = 500  # SQLite's limit of variables is 999 in old builds


def _select(table: str, columns: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM {table}"


def _insert(table: str, columns: Sequence[str], identity: Sequence[str]) -> str:
    """INSERT that replaces the columns of the row with the same identity and keeps the row's id."""
    replaced = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in identity)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT ({', '.join(identity)}) DO UPDATE SET {replaced}"
    )


META = _select("meta", schema.META)
OBJECT = _select("meta_v2", schema.OBJECT)
DEVICE = _select("device", schema.DEVICE)
ATTRIBUTE = _select("device_attr", schema.ATTRIBUTE)
TWIN = _select("device_twin", schema.TWIN)
DESIRED = _select("desired", schema.DESIRED)
OUTBOX = _select("outbox", schema.OUTBOX)

PUT_META = _insert("meta", schema.META, ["key"])
PUT_OBJECT = _insert("meta_v2", schema.OBJECT, ["key"])
PUT_DEVICE = _insert("device", schema.DEVICE, ["id"])
PUT_ATTRIBUTE = _insert("device_attr", schema.ATTRIBUTE, ["deviceid", "name"])
PUT_TWIN = _insert("device_twin", schema.TWIN, ["deviceid", "name"])
PUT_DESIRED = _insert("desired", schema.DESIRED, ["deviceid", "name"])
PUT_HISTORY = _insert("twin_history", schema.HISTORY, ["deviceid", "name", "slot"])
PUT_OUTBOX = "INSERT INTO outbox (msg_id, frame, key) VALUES (?, ?, ?) ON CONFLICT (msg_id) DO NOTHING"


TWINS_OF = f"{TWIN} WHERE deviceid = ? ORDER BY name"
HISTORY_OF = (
    f"{_select('twin_history', schema.HISTORY)} WHERE deviceid = ? AND name = ? AND at BETWEEN ? AND ? "
    "ORDER BY number DESC LIMIT ?"
)
NUMBERS_OF = "SELECT name, max(number) FROM twin_history WHERE deviceid = ? GROUP BY name"
OF_DEVICE = ("device_attr", "device_twin", "desired", "twin_history")
"""The tables that hold something of a device besides its row."""


class SqliteStore:
    """A Store in the file `path`, made with mode 0600 if it is not there; `StoreCorrupt` or `StoreError` in one sentence.

    `keys`: seal what may hold secrets. UsageError when it is sealed and they lack the key.
    """

    def __init__(self, path: str | Path, keys: KeyRing | None = None) -> None:
        self._file = DatabaseFile(Path(path), keys)
        self.meta = _Meta(self._file)
        self.twin = _Twin(self._file)
        self.outbox = _Outbox(self._file)
        self.subscribed_topics = _Names(self._file, "sub_topics", "topic")
        self.target_urls = _Names(self._file, "target_urls", "url")

    def close(self) -> None:
        """Give the file back; every later call is a StoreError."""
        self._file.close()


class _Meta:
    def __init__(self, file: DatabaseFile) -> None:
        self._file = file

    def get(self, key: str) -> MetaRow | None:
        rows = self._file.rows(f"{META} WHERE key = ?", (key,))
        return self._meta_row(rows[0]) if rows else None

    def of_type(self, type: str, *, after: str = "", limit: int = 0) -> list[MetaRow]:
        query = f"{META} WHERE type = ? AND key > ? ORDER BY key LIMIT ?"
        return [self._meta_row(row) for row in self._file.rows(query, (type, after, limit or -1))]

    def apply(self, changes: MetaChanges) -> None:
        seal = self._file.cipher.seal
        self._file.write(
            ("DELETE FROM meta WHERE key = ?", [(key,) for key in changes.removed]),
            ("DELETE FROM meta_v2 WHERE key = ?", [(key,) for key in changes.removed_objects]),
            (PUT_META, [(row.key, row.type, seal(row.value, "meta", row.key)) for row in changes.put]),
            (PUT_OBJECT, [(*_named(row), seal(row.value, "meta_v2", row.key)) for row in changes.objects]),
        )

    def put(self, rows: Iterable[MetaRow]) -> None:
        self.apply(MetaChanges(put=list(rows)))

    def remove(self, keys: Iterable[str]) -> None:
        self.apply(MetaChanges(removed=list(keys)))

    def object(self, key: str) -> ObjectRow | None:
        rows = self._file.rows(f"{OBJECT} WHERE key = ?", (key,))
        return self._object_row(rows[0]) if rows else None

    def objects(self, group_version_resource: str, namespace: str = "") -> list[ObjectRow]:
        query = f"{OBJECT} WHERE group_version_resource = ? AND (? = '' OR namespace = ?) ORDER BY key"
        rows = self._file.rows(query, (group_version_resource, namespace, namespace))
        return [self._object_row(row) for row in rows]

    def resources(self) -> list[ObjectRow]:
        query = f"{OBJECT} WHERE key IN (SELECT min(key) FROM meta_v2 GROUP BY group_version_resource) ORDER BY key"
        return [self._object_row(row) for row in self._file.rows(query)]

    def _meta_row(self, row: tuple[Any, ...]) -> MetaRow:
        key, type, value = row
        text = self._file.cipher.unseal(value, "meta", key)
        return MetaRow(key or "", type or "", str(text or ""))  # the original's columns may be NULL

    def _object_row(self, row: tuple[Any, ...]) -> ObjectRow:
        key, resource, namespace, name, version, value = row
        return ObjectRow(key, resource, namespace, name, version, str(self._file.cipher.unseal(value, "meta_v2", key)))


def _named(row: ObjectRow) -> tuple[Any, ...]:
    return row.key, row.group_version_resource, row.namespace, row.name, row.resource_version


class _Twin:
    def __init__(self, file: DatabaseFile) -> None:
        self._file = file

    def devices(self) -> list[DeviceRow]:
        rows = self._file.rows(f"{DEVICE} ORDER BY id")
        return [DeviceRow(*(value or "" for value in row)) for row in rows]

    def twins(self) -> list[TwinRow]:
        rows = self._file.rows(f"{TWIN} ORDER BY deviceid, name")
        return [_twin_row(row) for row in rows]

    def attributes(self) -> list[AttributeRow]:
        rows = self._file.rows(f"{ATTRIBUTE} ORDER BY deviceid, name")
        return [
            AttributeRow(device, name, value or "", bool(optional), kind or "", metadata or "")
            for device, name, value, optional, kind, metadata in rows
        ]

    def desired(self) -> list[DesiredRow]:
        rows = self._file.rows(f"{DESIRED} ORDER BY deviceid, name")
        return [DesiredRow(*row) for row in rows]

    def device(self, device: str) -> tuple[list[TwinRow], list[DesiredRow]]:
        twins = self._file.rows(TWINS_OF, (device,))
        desired = self._file.rows("SELECT deviceid, name, value FROM desired WHERE deviceid = ?", (device,))
        return [_twin_row(row) for row in twins], [DesiredRow(*row) for row in desired]

    def null_empty_values(self) -> None:
        self._file.write(
            ("UPDATE device_twin SET expected = NULL WHERE expected = ?", [("",)]),
            ("UPDATE device_twin SET actual = NULL WHERE actual = ?", [("",)]),
        )

    def history(
        self, device: str, name: str, *, since: int = 0, until: int = FOREVER, limit: int = 0
    ) -> list[HistoryRow]:
        rows = self._file.rows(HISTORY_OF, (device, name, since, until, limit or -1))
        return [HistoryRow(*row) for row in reversed(rows)]

    def last_history_numbers(self, device: str) -> dict[str, int]:
        return {name: int(number) for name, number in self._file.rows(NUMBERS_OF, (device,))}

    def apply(self, changes: TwinChanges) -> None:
        removed = [(device,) for device in changes.removed_devices]
        self._file.write(
            ("DELETE FROM device WHERE id = ?", removed),
            *((f"DELETE FROM {table} WHERE deviceid = ?", removed) for table in OF_DEVICE),
            ("DELETE FROM device_twin WHERE deviceid = ? AND name = ?", changes.removed_twins),
            ("DELETE FROM device_attr WHERE deviceid = ? AND name = ?", changes.removed_attributes),
            (PUT_DEVICE, [(r.id, r.name, r.description, r.state, r.last_online) for r in changes.devices]),
            (PUT_TWIN, [_twin_values(row) for row in changes.twins]),
            (
                PUT_ATTRIBUTE,
                [(r.device, r.name, r.value, r.optional, r.attr_type, r.metadata) for r in changes.attributes],
            ),
            (PUT_DESIRED, [(row.device, row.name, row.value) for row in changes.desired]),
            ("DELETE FROM twin_history WHERE deviceid = ? AND name = ?", changes.removed_history),
            ("DELETE FROM twin_history WHERE deviceid = ? AND name = ? AND at < ?", changes.expired_history),
            (
                PUT_HISTORY,
                [(r.device, r.name, r.slot, r.number, r.at, r.expected, r.actual) for r in changes.history],
            ),
            (PUT_OUTBOX, _outbox_values(changes.reports, self._file.cipher)),
        )


def _twin_row(row: tuple[Any, ...]) -> TwinRow:
    texts: dict[str, Any] = dict(zip(schema.TWIN[4:], (value or "" for value in row[4:]), strict=True))  # or NULL
    return TwinRow(*row[:4], **{**texts, "optional": bool(row[8])})


def _twin_values(row: TwinRow) -> tuple[Any, ...]:
    meta = (row.expected_meta, row.actual_meta, row.expected_version, row.actual_version)
    return (row.device, row.name, row.expected, row.actual, *meta, row.optional, row.attr_type, row.metadata)


class _Outbox:
    def __init__(self, file: DatabaseFile) -> None:
        self._file = file

    def apply(self, added: Sequence[OutboxRow], removed: Sequence[str]) -> None:
        self._file.write(
            ("DELETE FROM outbox WHERE msg_id = ?", [(msg_id,) for msg_id in removed]),
            (PUT_OUTBOX, _outbox_values(added, self._file.cipher)),
        )

    def contains(self, msg_ids: Sequence[str]) -> set[str]:
        contained: set[str] = set()
        for start in range(0, len(msg_ids), IDS_PER_QUERY):
            chunk = list(msg_ids[start : start + IDS_PER_QUERY])
            places = ", ".join("?" * len(chunk))
            rows = self._file.rows(f"SELECT msg_id FROM outbox WHERE msg_id IN ({places})", chunk)
            contained.update(msg_id for (msg_id,) in rows)
        return contained

    def pending(self, *, keyed: bool | None = None, after: int = 0, limit: int = 0) -> list[OutboxRow]:
        condition = "" if keyed is None else f"AND (key != '') = {keyed:d}"
        query = f"{OUTBOX} WHERE number > ? {condition} ORDER BY number LIMIT ?"
        rows = self._file.rows(query, (after, limit or -1))
        unseal = self._file.cipher.unseal
        return [OutboxRow(msg_id, str(unseal(frame, "outbox", msg_id)), *rest) for msg_id, frame, *rest in rows]

    def count(self) -> int:
        ((number,),) = self._file.rows("SELECT count(*) FROM outbox")
        return int(number)


def _outbox_values(rows: Sequence[OutboxRow], cipher: Cipher) -> list[tuple[Any, ...]]:
    return [(row.msg_id, cipher.seal(row.frame, "outbox", row.msg_id), row.key) for row in rows]


class _Names:
    def __init__(self, file: DatabaseFile, table: str, column: str) -> None:
        self._file = file
        self._all = f"SELECT {column} FROM {table}"
        self._insert = f"INSERT INTO {table} ({column}) VALUES (?) ON CONFLICT ({column}) DO NOTHING"
        self._delete = f"DELETE FROM {table} WHERE {column} = ?"

    def all(self) -> list[str]:
        return sorted(name for (name,) in self._file.rows(self._all))

    def add(self, name: str) -> None:
        self._file.write((self._insert, [(name,)]))

    def remove(self, name: str) -> None:
        self._file.write((self._delete, [(name,)]))
