"""Durable memory of one edge node: what its modules need from a database, and what it promises.

Promises of every Store
* A method that writes has committed when it returns; after `kill -9` the write is there, or the call never returned.
* A list of changes is one transaction: all of it or none of it.
* All methods may be called from any thread; writers wait for each other.
* `StoreCorrupt` when the file is not a database or is damaged, `StoreError` for any other refusal (disk full, locked, ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MetaRow:
    """One object that the cloud said. `key` is the wire resource, `type` its type segment, `value` the JSON text of the content."""

    key: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One member device; `id` is "<namespace>/<name>", `last_online` RFC 3339 or empty."""

    id: str
    name: str
    description: str = ""
    state: str = ""
    last_online: str = ""


@dataclass(frozen=True, slots=True)
class TwinRow:
    """One property of one device. `*_meta` and `*_version` are JSON text ({"timestamp":n}, {"cloud":n,"edge":m}) or empty.

    `expected` and `actual` are None while that side has never been given.
    """

    device: str
    name: str
    expected: str | None = None
    actual: str | None = None
    expected_meta: str = ""
    actual_meta: str = ""
    expected_version: str = ""
    actual_version: str = ""
    optional: bool = True
    attr_type: str = "string"
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """One attribute of one device."""

    device: str
    name: str
    value: str = ""
    optional: bool = True
    attr_type: str = "string"
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class TwinChanges:
    """What one transaction of the device twin writes; rows replace rows of the same identity."""

    devices: Sequence[DeviceRow] = ()
    removed_devices: Sequence[str] = ()
    twins: Sequence[TwinRow] = ()
    attributes: Sequence[AttributeRow] = ()
    removed_attributes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message that waits for the cloud. `number` orders them; `key` non-empty: a newer row of the same key replaces it."""

    number: int
    msg_id: str
    key: str
    lane: int
    frame: str


class MetaStore(Protocol):
    """Objects by key; MetaManager's."""

    def get(self, key: str) -> MetaRow | None: ...
    def of_type(self, type: str) -> list[MetaRow]: ...
    def put(self, rows: Iterable[MetaRow]) -> None: ...
    def remove(self, keys: Iterable[str]) -> None: ...


class TwinStore(Protocol):
    """Devices, attributes and twins; DeviceTwin's. `apply` is one transaction (group commit happens in the caller)."""

    def devices(self) -> list[DeviceRow]: ...
    def twins(self) -> list[TwinRow]: ...
    def attributes(self) -> list[AttributeRow]: ...
    def apply(self, changes: TwinChanges) -> None: ...


class OutboxStore(Protocol):
    """What waits for the cloud, in order; EdgeHub's."""

    def append(self, rows: Iterable[OutboxRow]) -> None: ...
    def waiting(self) -> list[OutboxRow]: ...
    def remove(self, msg_ids: Iterable[str]) -> None: ...


class NameStore(Protocol):
    """A small durable set of names: subscribed topics, allowed target URLs."""

    def all(self) -> list[str]: ...
    def add(self, name: str) -> None: ...
    def remove(self, name: str) -> None: ...


class Store(Protocol):
    """One database file with all of the above."""

    @property
    def meta(self) -> MetaStore: ...
    @property
    def twin(self) -> TwinStore: ...
    @property
    def outbox(self) -> OutboxStore: ...
    @property
    def topics(self) -> NameStore: ...
    @property
    def targets(self) -> NameStore: ...
    def close(self) -> None: ...
