"""A Store that lives as long as its object: the fake for tests, with the same promises except surviving."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

import msgspec

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
from kubeedge_actors.errors import StoreError


class FakeStore:
    """A Store in dictionaries. Set `failure` and every call raises it, as with a full disk."""

    def __init__(self) -> None:
        self.failure: StoreError | None = None
        self._lock = threading.RLock()
        self.outbox = _Outbox(self)
        self.meta = _Meta(self)
        self.twin = _Twin(self)
        self.subscribed_topics = _Names(self)
        self.target_urls = _Names(self)

    def close(self) -> None:
        """Every later call is a StoreError."""
        self.failure = StoreError("the store is closed")

    def use(self) -> AbstractContextManager[object]:
        """The lock of all tables; `failure` if one is set."""
        if self.failure is not None:
            raise self.failure
        return self._lock


class _Meta:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._rows: dict[str, MetaRow] = {}
        self._objects: dict[str, ObjectRow] = {}

    def get(self, key: str) -> MetaRow | None:
        with self._store.use():
            return self._rows.get(key)

    def of_type(self, type: str, *, after: str = "", limit: int = 0) -> list[MetaRow]:
        with self._store.use():
            rows = [row for key, row in sorted(self._rows.items()) if row.type == type and key > after]
            return rows[:limit] if limit else rows

    def apply(self, changes: MetaChanges) -> None:
        with self._store.use():
            for key in changes.removed:
                self._rows.pop(key, None)
            for key in changes.removed_objects:
                self._objects.pop(key, None)
            self._rows.update((row.key, row) for row in changes.put)
            self._objects.update((row.key, row) for row in changes.objects)

    def put(self, rows: Iterable[MetaRow]) -> None:
        self.apply(MetaChanges(put=list(rows)))

    def remove(self, keys: Iterable[str]) -> None:
        self.apply(MetaChanges(removed=list(keys)))

    def object(self, key: str) -> ObjectRow | None:
        with self._store.use():
            return self._objects.get(key)

    def objects(self, group_version_resource: str, namespace: str = "") -> list[ObjectRow]:
        with self._store.use():
            return [
                row
                for _, row in sorted(self._objects.items())
                if row.group_version_resource == group_version_resource and namespace in ("", row.namespace)
            ]

    def resources(self) -> list[ObjectRow]:
        with self._store.use():
            first = {row.group_version_resource: row for _, row in sorted(self._objects.items(), reverse=True)}
            return sorted(first.values(), key=lambda row: row.key)


class _Twin:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._devices: dict[str, DeviceRow] = {}
        self._twins: dict[tuple[str, str], TwinRow] = {}
        self._attributes: dict[tuple[str, str], AttributeRow] = {}
        self._desired: dict[tuple[str, str], DesiredRow] = {}
        self._history: dict[tuple[str, str, int], HistoryRow] = {}

    def devices(self) -> list[DeviceRow]:
        with self._store.use():
            return [row for _, row in sorted(self._devices.items())]

    def twins(self) -> list[TwinRow]:
        with self._store.use():
            return [row for _, row in sorted(self._twins.items())]

    def attributes(self) -> list[AttributeRow]:
        with self._store.use():
            return [row for _, row in sorted(self._attributes.items())]

    def desired(self) -> list[DesiredRow]:
        with self._store.use():
            return [row for _, row in sorted(self._desired.items())]

    def device(self, device: str) -> tuple[list[TwinRow], list[DesiredRow]]:
        twins = [row for row in self.twins() if row.device == device]
        return twins, [row for row in self.desired() if row.device == device]

    def null_empty_values(self) -> None:
        with self._store.use():
            for identity, row in self._twins.items():
                sides = {"expected": row.expected or None, "actual": row.actual or None}
                self._twins[identity] = msgspec.structs.replace(row, **sides)

    def history(
        self, device: str, name: str, *, since: int = 0, until: int = FOREVER, limit: int = 0
    ) -> list[HistoryRow]:
        with self._store.use():
            of_property = [row for row in self._history.values() if (row.device, row.name) == (device, name)]
            rows = sorted((row for row in of_property if since <= row.at <= until), key=lambda row: row.number)
            return rows[-limit:] if limit else rows

    def last_history_numbers(self, device: str) -> dict[str, int]:
        numbers: dict[str, int] = {}
        for row in self._history.values():
            if row.device == device:
                numbers[row.name] = max(row.number, numbers.get(row.name, 0))
        return numbers

    def apply(self, changes: TwinChanges) -> None:
        with self._store.use():
            for device in changes.removed_devices:
                self._forget(device)
            for identity in changes.removed_twins:
                self._twins.pop(identity, None)
            for identity in changes.removed_attributes:
                self._attributes.pop(identity, None)
            self._devices.update((row.id, row) for row in changes.devices)
            self._twins.update(((row.device, row.name), row) for row in changes.twins)
            self._attributes.update(((row.device, row.name), row) for row in changes.attributes)
            self._desired.update(((row.device, row.name), row) for row in changes.desired)
            for place in [place for place in self._history if place[:2] in changes.removed_history]:
                del self._history[place]
            for device, name, before in changes.expired_history:
                for row in self.history(device, name, until=before - 1):
                    del self._history[row.device, row.name, row.slot]
            self._history.update(((row.device, row.name, row.slot), row) for row in changes.history)
            self._store.outbox.apply(changes.reports, ())

    def _forget(self, device: str) -> None:
        self._devices.pop(device, None)
        for identity in [identity for identity in self._twins if identity[0] == device]:
            del self._twins[identity]
        for identity in [identity for identity in self._attributes if identity[0] == device]:
            del self._attributes[identity]
        for identity in [identity for identity in self._desired if identity[0] == device]:
            del self._desired[identity]
        for place in [place for place in self._history if place[0] == device]:
            del self._history[place]


class _Outbox:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._rows: dict[str, OutboxRow] = {}
        self._last = 0

    def apply(self, added: Sequence[OutboxRow], removed: Sequence[str]) -> None:
        with self._store.use():
            for msg_id in removed:
                self._rows.pop(msg_id, None)
            for row in added:
                if row.msg_id not in self._rows:
                    self._last += 1
                    self._rows[row.msg_id] = msgspec.structs.replace(row, number=self._last)

    def contains(self, msg_ids: Sequence[str]) -> set[str]:
        with self._store.use():
            return {msg_id for msg_id in msg_ids if msg_id in self._rows}

    def pending(self, *, keyed: bool | None = None, after: int = 0, limit: int = 0) -> list[OutboxRow]:
        with self._store.use():
            rows = [row for row in self._rows.values() if row.number > after and keyed in (None, row.key != "")]
            return rows[:limit] if limit else rows

    def count(self) -> int:
        with self._store.use():
            return len(self._rows)


class _Names:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._names: set[str] = set()

    def all(self) -> list[str]:
        with self._store.use():
            return sorted(self._names)

    def add(self, name: str) -> None:
        with self._store.use():
            self._names.add(name)

    def remove(self, name: str) -> None:
        with self._store.use():
            self._names.discard(name)
