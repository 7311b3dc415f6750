"""The devices of this node in memory, loaded from the database on demand.

Twins are read when a device is first spoken of, and only those of the devices spoken of last stay in memory: what is
not there is in the database, since nothing is told before it is committed.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kubeedge_actors.actors.devicetwin.dttypes import Attribute, Member
from kubeedge_actors.actors.devicetwin.transaction import attribute_of, twin_property_from_row
from kubeedge_actors.actors.devicetwin.twin import TwinProperty
from kubeedge_actors.actors.devicetwin.twin_annotations import DEFAULT_SETTINGS, TwinSettings
from kubeedge_actors.drivers.store.base import FOREVER, DeviceRow, HistoryRow, TwinStore

RESIDENT = 1024
"""Devices whose twins are in memory."""


class Device(msgspec.Struct):
    """One member device.

    `id` is "<namespace>/<name>" (one level in v0.2). `desired`: what the cloud last wanted, by property. `numbers`: how
    many values were kept of a property so far.
    """

    id: str
    name: str
    description: str = ""
    state: str = ""
    last_online: str = ""
    twins: dict[str, TwinProperty] = {}
    attributes: dict[str, Attribute] = {}
    desired: dict[str, str] = {}
    settings: TwinSettings = DEFAULT_SETTINGS
    numbers: dict[str, int] = {}

    @property
    def row(self) -> DeviceRow:
        """Its row."""
        return DeviceRow(self.id, self.name, self.description, self.state, self.last_online)


class Devices:
    """All devices by id. `settings`: the annotations of the Device objects, for devices that have some."""

    def __init__(self, store: TwinStore, resident: int = RESIDENT) -> None:
        self._store, self._limit = store, resident
        self.settings: dict[str, TwinSettings] = {}
        self._rows: dict[str, DeviceRow] = {}
        self._attributes: dict[str, dict[str, Attribute]] = {}
        self._resident: dict[str, Device] = {}
        self._numbers: dict[str, dict[str, int]] = {}
        self._load()

    def rollback(self) -> None:
        """Drop uncommitted changes: read again from the database. Error: StoreError."""
        self._load()

    def _load(self) -> None:
        self._resident.clear()
        self._numbers.clear()
        self._rows = {row.id: row for row in self._store.devices()}
        self._attributes = {}
        for attribute in self._store.attributes():
            self._attributes.setdefault(attribute.device, {})[attribute.name] = attribute_of(attribute)

    def get(self, id: str) -> Device | None:
        """A device with its twins. Error: StoreError."""
        device = self._resident.pop(id, None)
        if device is None:
            row = self._rows.get(id)
            if row is None:
                return None
            device = self._read(row)
        self._resident[id] = device
        return device

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def ids(self) -> list[str]:
        """The ids of all devices."""
        return list(self._rows)

    def members(self) -> Iterator[Member]:
        """All devices without their twins."""
        for row in self._rows.values():
            attributes: dict[str, Attribute | None] = dict(self._attributes.get(row.id, {}))
            yield Member(row.id, row.name, row.description, row.state, row.last_online, attributes or None)

    def add(self, device: Device) -> None:
        """A new device."""
        device.settings = self.settings.get(device.id, DEFAULT_SETTINGS)
        device.numbers = self._numbers_of(device.id, device.settings)
        self._resident[device.id] = device
        self._attributes[device.id] = device.attributes
        self._rows[device.id] = device.row

    def on_row_replaced(self, device: Device) -> None:
        """The row of this device was replaced."""
        self._rows[device.id] = device.row

    def remove(self, id: str) -> bool:
        """A device is gone; False when it was not there."""
        self._resident.pop(id, None)
        self._attributes.pop(id, None)
        self._numbers.pop(id, None)
        self.settings.pop(id, None)
        return self._rows.pop(id, None) is not None

    def set_settings(self, id: str, settings: TwinSettings) -> TwinSettings:
        """Set the settings of a device; returns the previous ones. Error: StoreError."""
        before = self.settings.pop(id, DEFAULT_SETTINGS)
        if settings is not DEFAULT_SETTINGS:
            self.settings[id] = settings
        device = self._resident.get(id)
        if device is not None:
            device.settings = settings
            device.numbers = self._numbers_of(id, settings)
        return before

    def history(self, id: str, name: str, since: int = 0, until: int = FOREVER, limit: int = 0) -> list[HistoryRow]:
        """The values that were kept of a property. Error: StoreError."""
        return self._store.history(id, name, since=since, until=until, limit=limit)

    def property_names(self, id: str) -> list[str]:
        """The property names of a device, without loading it. Error: StoreError."""
        return [row.name for row in self._store.device(id)[0]]

    def _numbers_of(self, id: str, settings: TwinSettings) -> dict[str, int]:
        """How far the histories of a device have come; read once, since it takes longer the longer they are."""
        if not settings.retentions:
            self._numbers.pop(id, None)
            return {}
        if id not in self._numbers:
            self._numbers[id] = self._store.last_history_numbers(id)
        return self._numbers[id]

    def evict(self) -> None:
        """After a commit: evict the twins of the least recently used devices."""
        surplus = len(self._resident) - self._limit
        if surplus > 0:
            for id in list(self._resident)[:surplus]:
                del self._resident[id]

    def _read(self, row: DeviceRow) -> Device:
        twins, desired = self._store.device(row.id)
        settings = self.settings.get(row.id, DEFAULT_SETTINGS)
        return Device(
            row.id,
            row.name,
            row.description,
            row.state,
            row.last_online,
            {twin.name: twin_property_from_row(twin) for twin in twins},
            self._attributes.setdefault(row.id, {}),
            {desired_row.name: desired_row.value for desired_row in desired},
            settings,
            self._numbers_of(row.id, settings),
        )
