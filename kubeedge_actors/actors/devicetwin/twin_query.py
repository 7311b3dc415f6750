"""Answers to TwinQuery: what DeviceTwin has stored, as the types that modules ask with. Pure."""

from __future__ import annotations

from kubeedge_actors.actors.devicetwin.devices import Devices
from kubeedge_actors.actors.devicetwin.dttypes import STRING, TwinValue, TwinVersion
from kubeedge_actors.actors.devicetwin.twin import TwinProperty
from kubeedge_actors.wire.messages import PropertyTwin, PropertyValue, TwinAnswer


def answer_query(devices: Devices, id: str) -> TwinAnswer:
    """What is known of one device; without an id, which devices there are. Error: StoreError."""
    if not id:
        return TwinAnswer(devices=tuple(sorted(devices.ids())))
    device = devices.get(id)
    if device is None:
        return TwinAnswer(device=id, known=False)
    properties = {name: _property(prop) for name, prop in device.twins.items() if prop.is_live}
    return TwinAnswer(device=id, state=device.state, properties=properties)


def _property(prop: TwinProperty) -> PropertyTwin:
    shown = prop.shown
    return PropertyTwin(
        expected=_value(shown.expected, prop.expected_version),
        actual=_value(shown.actual, prop.actual_version),
        type=prop.kind or STRING,
        optional=bool(shown.optional),
    )


def _value(side: TwinValue | None, version: TwinVersion | None) -> PropertyValue | None:
    if side is None or not side.value:
        return None
    versions = version or TwinVersion()
    return PropertyValue(
        value=side.value,
        timestamp=side.metadata.timestamp if side.metadata is not None else None,
        cloud_version=versions.cloud,
        edge_version=versions.edge,
    )
