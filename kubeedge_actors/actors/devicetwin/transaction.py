"""One database transaction of DeviceTwin for many messages, and what to publish after its commit (unit of work)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kubeedge_actors.actors.devicetwin.dttypes import (
    DELETED,
    Attribute,
    MsgTwin,
    TwinValue,
    TwinVersion,
    TypeMetadata,
    ValueMetadata,
    to_builtins,
)
from kubeedge_actors.actors.devicetwin.twin import TwinProperty
from kubeedge_actors.drivers.store.base import (
    AttributeRow,
    DesiredRow,
    DeviceRow,
    HistoryRow,
    OutboxRow,
    TwinChanges,
    TwinRow,
)
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import DeviceStateReported, Json, Message, TwinReported

Report = TwinReported | DeviceStateReported


NOTHING = TwinChanges([], [], [], (), [], [], [], [], [], [], [])


class TwinTransaction(msgspec.Struct):
    """Rows to store, and messages to publish after the commit, in order.

    `on_failure`: the part of it that is true even when the database refuses. `pending_results`: device and event id of each
    update whose result depends on the database. Reports of one device are joined: the cloud needs the last value of
    each property only.
    """

    messages: list[Message] = []
    on_failure: list[Message] = []
    pending_results: list[tuple[str, str]] = []
    twins: dict[tuple[str, str], TwinProperty] = {}
    devices: dict[str, DeviceRow] = {}
    removed_devices: list[str] = []
    attributes: list[AttributeRow] = []
    removed_attributes: list[tuple[str, str]] = []
    desired: list[DesiredRow] = []
    history: dict[tuple[str, str, int], HistoryRow] = {}
    removed_history: list[tuple[str, str]] = []
    expired_history: list[tuple[str, str, int]] = []
    reported: dict[str, dict[str, MsgTwin]] = {}
    states: list[DeviceStateReported] = []

    def add_rejection(self, message: Message) -> None:
        """Add a rejection: a message that depends on no commit."""
        self.messages.append(message)
        self.on_failure.append(message)

    def remove_device(self, device: str) -> None:
        """Drop a deleted device, with everything this turn has changed of it."""
        self.devices.pop(device, None)
        self.twins = {identity: prop for identity, prop in self.twins.items() if identity[0] != device}
        self.attributes = [row for row in self.attributes if row.device != device]
        self.desired = [row for row in self.desired if row.device != device]
        self.history = {place: row for place, row in self.history.items() if place[0] != device}
        self.removed_devices.append(device)

    def add_to_report(self, device: str, entries: Mapping[str, MsgTwin]) -> None:
        """Add these properties to the report of the device."""
        report = self.reported.setdefault(device, {})
        for key, entry in entries.items():
            report[key] = merge_entries(report[key], entry) if key in report else entry

    def reports(self, event: Callable[[], str], now: int) -> list[Report]:
        """The reports as messages. `event` gives an id for each."""
        twins: list[Report] = [
            TwinReported(device=device, report=_report(event(), now, entries))
            for device, entries in self.reported.items()
        ]
        return twins + list(self.states)

    def to_changes(self, reports: list[Report], now: int) -> TwinChanges | None:
        """The transaction, None when there is nothing to store.

        The reports are in it: what is stored is told, even if the power fails in between.
        """
        changes = TwinChanges(
            list(self.devices.values()),
            self.removed_devices,
            [twin_row(device, name, prop) for (device, name), prop in self.twins.items()],
            (),
            self.attributes,
            self.removed_attributes,
            self.desired,
            [_outbox_row(report, now) for report in reports],
            self.removed_history,
            self.expired_history,
            list(self.history.values()),
        )
        return changes if changes != NOTHING else None


def merge_entries(older: MsgTwin, newer: MsgTwin) -> MsgTwin:
    """Merge two entries of a property; a deletion replaces what came before it."""
    if any(entry.metadata is not None and entry.metadata.type == DELETED for entry in (older, newer)):
        return newer
    fields = (
        old_value if new_value is None else new_value
        for old_value, new_value in zip(msgspec.structs.astuple(older), msgspec.structs.astuple(newer), strict=True)
    )
    return MsgTwin(*fields)


def _report(event_id: str, now: int, entries: Mapping[str, MsgTwin]) -> Json:
    return {"event_id": event_id, "timestamp": now, constants.PATH_TWIN: to_builtins(entries)}


def _outbox_row(report: Report, now: int) -> OutboxRow:
    path = constants.PATH_TWIN_REPORTED if isinstance(report, TwinReported) else constants.PATH_STATE_REPORTED
    frame = beehive.encode(mapping.to_beehive(report, now))
    return OutboxRow(report.msg_id, frame, f"{report.device}/{path}")


# --- devices as rows of the database and back -------------------------------------------------------------------------
#
# Source: KubeEdge edge/pkg/metamanager/dao/models, tables device, device_attr, device_twin.


_value_metadata = msgspec.json.Decoder(ValueMetadata)
_versions = msgspec.json.Decoder(TwinVersion)
_encoder = msgspec.json.Encoder()


def twin_row(device: str, name: str, prop: TwinProperty) -> TwinRow:
    """The row of one property."""
    shown = prop.shown
    return TwinRow(
        device,
        name,
        shown.expected.value if shown.expected else None,
        shown.actual.value if shown.actual else None,
        _text(shown.expected.metadata if shown.expected else None),
        _text(shown.actual.metadata if shown.actual else None),
        _text(prop.expected_version),
        _text(prop.actual_version),
        bool(shown.optional),
        prop.kind,
    )


def twin_property_from_row(row: TwinRow) -> TwinProperty:
    """The property that a stored row holds."""
    shown = MsgTwin(
        _side(row.expected, row.expected_meta),
        _side(row.actual, row.actual_meta),
        row.optional,
        TypeMetadata(row.attr_type),
    )
    return TwinProperty(
        shown,
        _versions.decode(row.expected_version) if row.expected_version else None,
        _versions.decode(row.actual_version) if row.actual_version else None,
    )


def _side(value: str | None, meta: str) -> TwinValue | None:
    return None if value is None else TwinValue(value, _value_metadata.decode(meta) if meta else None)


def attribute_row(device: str, name: str, attribute: Attribute) -> AttributeRow:
    """The row of one attribute."""
    kind = (attribute.metadata.type or "") if attribute.metadata else ""
    return AttributeRow(device, name, attribute.value, bool(attribute.optional), kind)


def attribute_of(row: AttributeRow) -> Attribute:
    """The attribute in a row."""
    return Attribute(row.value, row.optional, TypeMetadata(row.attr_type))


def _text(value: msgspec.Struct | None) -> str:
    return _encoder.encode(value).decode() if value is not None else ""
