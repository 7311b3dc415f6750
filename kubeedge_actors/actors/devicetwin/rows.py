"""Devices as rows of the database and back.

Source: KubeEdge edge/pkg/metamanager/dao/models, tables device, device_attr, device_twin.
"""

from __future__ import annotations

import msgspec

from kubeedge_actors.actors.devicetwin.payloads import Attribute, Entry, Kind, Side, Stamp, Version
from kubeedge_actors.actors.devicetwin.twin import Property
from kubeedge_actors.drivers.store.base import AttributeRow, TwinRow

_stamps = msgspec.json.Decoder(Stamp)
_versions = msgspec.json.Decoder(Version)
_encoder = msgspec.json.Encoder()


def twin_row(device: str, name: str, known: Property) -> TwinRow:
    """The row of one property."""
    shown = known.shown
    return TwinRow(
        device,
        name,
        shown.expected.value if shown.expected else None,
        shown.actual.value if shown.actual else None,
        _text(shown.expected.metadata if shown.expected else None),
        _text(shown.actual.metadata if shown.actual else None),
        _text(known.expected_version),
        _text(known.actual_version),
        bool(shown.optional),
        known.kind,
    )


def property_of(row: TwinRow) -> Property:
    """The property in a row."""
    shown = Entry(
        _side(row.expected, row.expected_meta),
        _side(row.actual, row.actual_meta),
        row.optional,
        Kind(row.attr_type),
    )
    return Property(
        shown,
        _versions.decode(row.expected_version) if row.expected_version else None,
        _versions.decode(row.actual_version) if row.actual_version else None,
    )


def _side(value: str | None, meta: str) -> Side | None:
    return None if value is None else Side(value, _stamps.decode(meta) if meta else None)


def attribute_row(device: str, name: str, attribute: Attribute) -> AttributeRow:
    """The row of one attribute."""
    kind = (attribute.metadata.type or "") if attribute.metadata else ""
    return AttributeRow(device, name, attribute.value, bool(attribute.optional), kind)


def attribute_of(row: AttributeRow) -> Attribute:
    """The attribute in a row."""
    return Attribute(row.value, row.optional, Kind(row.attr_type))


def _text(value: msgspec.Struct | None) -> str:
    return _encoder.encode(value).decode() if value is not None else ""
