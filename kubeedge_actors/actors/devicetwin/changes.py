"""What one turn of DeviceTwin stores, and what it says once that is committed: one transaction for many messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kubeedge_actors.actors.devicetwin.payloads import Entry, builtins
from kubeedge_actors.actors.devicetwin.rows import twin_row
from kubeedge_actors.actors.devicetwin.twin import Property
from kubeedge_actors.actors.devicetwin.values import DELETED
from kubeedge_actors.drivers.store.base import AttributeRow, DesiredRow, DeviceRow, HistoryRow, OutboxRow, TwinChanges
from kubeedge_actors.wire import codec, mapping, names
from kubeedge_actors.wire.messages import DeviceStateReported, Json, Message, TwinReported

Report = TwinReported | DeviceStateReported


NOTHING = TwinChanges([], [], [], (), [], [], [], [], [], [], [])


class Changes(msgspec.Struct):
    """What is to be stored, and what is to be said then, in order.

    `regardless`: the part of it that is true even when the database refuses. `promised`: device and event id of each
    update whose result depends on the database. Reports of one device are joined: the cloud needs the last value of
    each property only.
    """

    said: list[Message] = []
    regardless: list[Message] = []
    promised: list[tuple[str, str]] = []
    twins: dict[tuple[str, str], Property] = {}
    devices: dict[str, DeviceRow] = {}
    removed_devices: list[str] = []
    attributes: list[AttributeRow] = []
    removed_attributes: list[tuple[str, str]] = []
    desired: list[DesiredRow] = []
    history: dict[tuple[str, str, int], HistoryRow] = {}
    removed_history: list[tuple[str, str]] = []
    expired_history: list[tuple[str, str, int]] = []
    reported: dict[str, dict[str, Entry]] = {}
    states: list[DeviceStateReported] = []

    def refuse(self, message: Message) -> None:
        """Say something that nothing stored stands behind."""
        self.said.append(message)
        self.regardless.append(message)

    def forget(self, device: str) -> None:
        """A device is gone, with whatever this turn has changed of it."""
        self.devices.pop(device, None)
        self.twins = {identity: known for identity, known in self.twins.items() if identity[0] != device}
        self.attributes = [row for row in self.attributes if row.device != device]
        self.desired = [row for row in self.desired if row.device != device]
        self.history = {place: row for place, row in self.history.items() if place[0] != device}
        self.removed_devices.append(device)

    def report(self, device: str, entries: Mapping[str, Entry]) -> None:
        """Tell the cloud about these properties."""
        told = self.reported.setdefault(device, {})
        for key, entry in entries.items():
            told[key] = joined(told[key], entry) if key in told else entry

    def reports(self, event: Callable[[], str], now: int) -> list[Report]:
        """The reports as messages. `event` gives an id for each."""
        twins: list[Report] = [
            TwinReported(device=device, report=_report(event(), now, entries))
            for device, entries in self.reported.items()
        ]
        return twins + list(self.states)

    def rows(self, reports: list[Report], now: int) -> TwinChanges | None:
        """The transaction, None when there is nothing to store.

        The reports are in it: what is stored is told, even if the power fails in between.
        """
        changes = TwinChanges(
            list(self.devices.values()),
            self.removed_devices,
            [twin_row(device, name, known) for (device, name), known in self.twins.items()],
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


def joined(older: Entry, newer: Entry) -> Entry:
    """One entry that says what both say; a deletion and what came before it do not mix."""
    if any(entry.metadata is not None and entry.metadata.type == DELETED for entry in (older, newer)):
        return newer
    fields = (
        was if said is None else said
        for was, said in zip(msgspec.structs.astuple(older), msgspec.structs.astuple(newer), strict=True)
    )
    return Entry(*fields)


def _report(event_id: str, now: int, entries: Mapping[str, Entry]) -> Json:
    return {"event_id": event_id, "timestamp": now, names.PATH_TWIN: builtins(entries)}


def _outbox_row(report: Report, now: int) -> OutboxRow:
    about = names.PATH_TWIN_REPORTED if isinstance(report, TwinReported) else names.PATH_STATE_REPORTED
    frame = codec.encode(mapping.to_record(report, now))
    return OutboxRow(report.msg_id, frame, f"{report.device}/{about}")
