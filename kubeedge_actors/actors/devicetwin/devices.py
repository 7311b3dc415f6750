"""The devices of this node as they are remembered between two messages, and how they come out of the database."""

from __future__ import annotations

import msgspec

from kubeedge_actors.actors.devicetwin.payloads import Attribute, Member
from kubeedge_actors.actors.devicetwin.rows import attribute_of, property_of
from kubeedge_actors.actors.devicetwin.twin import Property
from kubeedge_actors.drivers.store.base import DeviceRow, TwinStore


class Device(msgspec.Struct):
    """One member device.

    `id` is "<namespace>/<name>" (one level in v0.2). `desired`: what the cloud last wanted, by property.
    """

    id: str
    name: str
    description: str = ""
    state: str = ""
    last_online: str = ""
    twins: dict[str, Property] = {}
    attributes: dict[str, Attribute] = {}
    desired: dict[str, str] = {}

    @property
    def row(self) -> DeviceRow:
        """Its row."""
        return DeviceRow(self.id, self.name, self.description, self.state, self.last_online)

    @property
    def member(self) -> Member:
        """The device in a list of members: without twins."""
        return Member(self.id, self.name, self.description, self.state, self.last_online, dict(self.attributes) or None)


def load(store: TwinStore) -> dict[str, Device]:
    """All devices, by id. Error: StoreError."""
    devices = {row.id: Device(row.id, row.name, row.description, row.state, row.last_online) for row in store.devices()}
    for twin in store.twins():
        if (device := devices.get(twin.device)) is not None:
            device.twins[twin.name] = property_of(twin)
    for attribute in store.attributes():
        if (device := devices.get(attribute.device)) is not None:
            device.attributes[attribute.name] = attribute_of(attribute)
    for desired in store.desired():
        if (device := devices.get(desired.device)) is not None:
            device.desired[desired.name] = desired.value
    return devices
