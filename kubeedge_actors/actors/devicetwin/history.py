"""History of properties: what is kept, and the answer to `twin/history/get`.

Of each property with a history the last `count` values are kept: value number n takes the place of n - count, so a
history never grows over its bound and costs one row in the transaction of its update.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from kubeedge_actors.actors.devicetwin.devices import Device, Devices
from kubeedge_actors.actors.devicetwin.dttypes import BAD_REQUEST, NOT_FOUND, BaseMessage, ErrorResult, encode, parse
from kubeedge_actors.actors.devicetwin.transaction import TwinTransaction
from kubeedge_actors.actors.devicetwin.twin import TwinProperty
from kubeedge_actors.drivers.store.base import FOREVER, HistoryRow
from kubeedge_actors.wire import constants, topics
from kubeedge_actors.wire.messages import MqttPublish


class HistoryRequest(BaseMessage, frozen=True):
    """The payload of `twin/history/get`.

    All may be left out: `properties` (all), `since` and `until` (ms since the epoch), `limit` (the newest so many).
    """

    properties: list[str] | None = None
    since: int | None = None
    until: int | None = None
    limit: int | None = None


class HistoryValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a property was at a time, ms since the epoch; a side that had no value is absent."""

    timestamp: int = msgspec.field(default_factory=int)
    expected: str | None = None
    actual: str | None = None


class HistoryResult(BaseMessage, frozen=True):
    """The payload of `twin/history/get/result`: oldest first."""

    history: dict[str, list[HistoryValue]] = {}


def append_history(changes: TwinTransaction, device: Device, name: str, prop: TwinProperty, now: int) -> None:
    """Append the current value to the property's history, if it has one."""
    retention = device.settings.retention(name)
    if retention is None:
        return
    number = device.numbers[name] = device.numbers.get(name, -1) + 1
    slot, expected, actual = number % retention.count, prop.shown.expected, prop.shown.actual
    sides = (expected.value if expected else None, actual.value if actual else None)
    changes.history[device.id, name, slot] = HistoryRow(device.id, name, slot, number, now, *sides)


def history_response(devices: Devices, device_id: str, payload: bytes, now: int) -> MqttPublish:
    """The answer to `twin/history/get`: of the properties that have a history. Error: StoreError."""
    request, device = parse(payload, HistoryRequest), devices.get(device_id)
    if isinstance(request, str):
        answer = encode(ErrorResult("", now, BAD_REQUEST, f"the question for a history can not be read: {request}"))
    elif device is None:
        text = f"Device {device_id} not found while getting history"
        answer = encode(ErrorResult(request.event_id, now, NOT_FOUND, text))
    else:
        answer = encode(HistoryResult(request.event_id or "", now, _values(devices, device, request, now)))
    return MqttPublish(topic=topics.device_topic(device_id, constants.TWIN_HISTORY_GET_RESULT), payload=answer)


def _values(devices: Devices, device: Device, request: HistoryRequest, now: int) -> dict[str, list[HistoryValue]]:
    values: dict[str, list[HistoryValue]] = {}
    until = FOREVER if request.until is None else max(0, min(FOREVER, request.until))
    names = device.twins if request.properties is None else dict.fromkeys(request.properties)
    for name in [name for name in names if name in device.twins]:
        retention = device.settings.retention(name)
        if retention is not None:
            oldest = max(now - retention.age if retention.age else 0, min(FOREVER, request.since or 0))
            limit = retention.count if request.limit is None else min(max(0, request.limit), retention.count)
            rows = devices.history(device.id, name, oldest, until, limit) if limit else []
            values[name] = [HistoryValue(row.at, row.expected, row.actual) for row in rows]
    return values


def prune_history(changes: TwinTransaction, devices: Devices, ids: Iterable[str], now: int) -> None:
    """Delete history values of these devices that are too old. Error: StoreError."""
    for id in ids:
        settings = devices.settings[id]
        if any(retention.age for retention in settings.retentions.values()):
            for name in devices.property_names(id):
                retention = settings.retention(name)
                if retention is not None and retention.age:
                    changes.expired_history.append((id, name, now - retention.age))


def renumber_slots(rows: Sequence[HistoryRow], count: int) -> list[HistoryRow]:
    """The newest rows of one property in the places that they have in a history of another length."""
    newest = sorted(rows, key=lambda row: row.number)[-count:] if count else []
    return [HistoryRow(r.device, r.name, r.number % count, r.number, r.at, r.expected, r.actual) for r in newest]
