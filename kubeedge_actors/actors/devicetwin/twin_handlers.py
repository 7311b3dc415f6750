"""Handles twin and state requests (KubeEdge: dtmanager's TwinWorker). It fills a TwinTransaction and waits for nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubeedge_actors.actors.devicetwin import twin
from kubeedge_actors.actors.devicetwin.cloud_sync import sync_twins
from kubeedge_actors.actors.devicetwin.desired import DesiredValue, apply_desired
from kubeedge_actors.actors.devicetwin.devices import Device, Devices
from kubeedge_actors.actors.devicetwin.dttypes import (
    BAD_REQUEST,
    NOT_FOUND,
    BaseMessage,
    DeviceState,
    ErrorResult,
    MsgTwin,
    Rejection,
    StateRequest,
    StateResult,
    encode,
    last_online,
    parse,
    parse_update,
    to_builtins,
)
from kubeedge_actors.actors.devicetwin.history import append_history
from kubeedge_actors.actors.devicetwin.transaction import TwinTransaction
from kubeedge_actors.actors.devicetwin.twin import TwinChange
from kubeedge_actors.drivers.store.base import DesiredRow
from kubeedge_actors.wire import constants, topics
from kubeedge_actors.wire.messages import DeviceStateReported, MqttPublish, TwinUpdated, new_id

UNKNOWN_DEVICE = Rejection(NOT_FOUND, "update rejected due to the device is not existed")
BAD_SYNC = Rejection(BAD_REQUEST, "unmarshal update request body failed, Please check the request")
NO_DEVICE = ""
"""The device and event of a request that could not be read: KubeEdge answers on the topic of a device without name."""


class TwinHandlers:
    """Twin and state requests against the devices of `node`.

    `publish_updates`: whether TwinUpdated is said for each change. `event`: gives a fresh event id. Times (`now`) are ms since
    the epoch.
    """

    def __init__(
        self,
        node: str,
        devices: Devices,
        *,
        publish_updates: Callable[[], bool] | bool = True,
        event: Callable[[], str] = new_id,
    ) -> None:
        self.node = node
        self.devices = devices
        self.event = event
        self._publish_updates = publish_updates if callable(publish_updates) else lambda: bool(publish_updates)

    def update(self, changes: TwinTransaction, device_id: str, payload: bytes, now: int) -> None:
        """Handle `twin/update`: result, document, delta, report."""
        request = parse_update(payload)
        if isinstance(request, Rejection):
            return changes.add_rejection(error_result(NO_DEVICE, NO_DEVICE, request, now))
        event_id = request.event_id or ""
        device = self.devices.get(device_id)
        if device is None:
            return changes.add_rejection(error_result(device_id, event_id, UNKNOWN_DEVICE, now))
        change = twin.update_twins(device.twins, request.twin or {}, now)
        if isinstance(change, Rejection):
            return changes.add_rejection(error_result(device_id, event_id, change, now))
        changes.pending_results.append((device_id, event_id))
        self._publish(
            changes, device_id, constants.TWIN_UPDATE_RESULT, twin.update_result(event_id, now, change.result)
        )
        return self._take(changes, device, change, event_id, now)

    def sync(self, changes: TwinTransaction, device_id: str, payload: bytes, now: int) -> None:
        """Handle a sync of the cloud by message: document, delta, and a report of what was rejected."""
        request = parse_update(payload)
        if isinstance(request, Rejection):
            return changes.add_rejection(error_result(NO_DEVICE, NO_DEVICE, BAD_SYNC, now))
        return self.sync_entries(changes, device_id, request.twin or {}, request.event_id or "", now)

    def sync_entries(
        self, changes: TwinTransaction, device_id: str, entries: Mapping[str, MsgTwin | None], event_id: str, now: int
    ) -> None:
        """Sync the twins of a device with what the cloud says of them."""
        device = self.devices.get(device_id)
        if device is None:
            return changes.add_rejection(error_result(device_id, event_id, UNKNOWN_DEVICE, now))
        change = sync_twins(device.twins, entries, now, device.settings)
        if isinstance(change, Rejection):
            return changes.add_rejection(error_result(device_id, event_id, change, now))
        return self._take(changes, device, change, event_id, now)

    def apply_desired(
        self, changes: TwinTransaction, device: Device, values: Mapping[str, DesiredValue], now: int
    ) -> dict[str, str]:
        """Apply desired values: document, delta, report. Returns the properties whose value does not fit, and why."""
        desired_changes = apply_desired(device.twins, device.desired, values, now, device.settings)
        changes.desired += [DesiredRow(device.id, name, value) for name, value in desired_changes.desired.items()]
        device.desired.update(desired_changes.desired)
        if desired_changes.change.changed or desired_changes.change.report:
            self._take(changes, device, desired_changes.change, self.event(), now)
        return desired_changes.invalid

    def _take(self, changes: TwinTransaction, device: Device, change: TwinChange, event_id: str, now: int) -> None:
        device.twins.update(change.changed)
        for key, prop in change.changed.items():
            changes.twins[device.id, key] = prop
            if device.settings.retentions:
                append_history(changes, device, key, prop, now)
        if change.document:
            text = twin.update_document(event_id, now, change.document)
            self._publish(changes, device.id, constants.TWIN_UPDATE_DOCUMENT, text)
        delta = twin.update_delta(self.event, now, device.twins)
        if delta is not None:
            self._publish(changes, device.id, constants.TWIN_UPDATE_DELTA, delta)
        if change.document and self._publish_updates():
            current = {key: document.current for key, document in change.document.items()}
            changes.messages.append(TwinUpdated(device=device.id, twin=to_builtins(current)))
        if change.report:
            changes.add_to_report(device.id, change.report)

    def get(self, device_id: str, payload: bytes, now: int) -> MqttPublish:
        """The answer to `twin/get`."""
        request, device = parse(payload, BaseMessage), self.devices.get(device_id)
        if isinstance(request, str):
            text = f"Unmarshal twin info {payload.decode(errors='replace')} failed , err: {request}"
            answer = encode(ErrorResult("", now, BAD_REQUEST, text))
        elif device is None:
            text = f"Device {device_id} not found while getting twin"
            answer = encode(ErrorResult(request.event_id, now, NOT_FOUND, text))
        else:
            answer = twin.get_result(request.event_id or "", now, device.twins)
        return MqttPublish(topic=topics.device_topic(device_id, constants.TWIN_GET_RESULT), payload=answer)

    def update_state(self, changes: TwinTransaction, device_id: str, payload: bytes, now: int) -> str:
        """Handle `state/update`: result and report.

        Returns why it is passed over, which KubeEdge does without an answer; or nothing.
        """
        request, device = parse(payload, StateRequest), self.devices.get(device_id)
        if isinstance(request, str):
            return request
        if device is None:
            return "no such device"
        state = request.state or ""
        online = last_online(state, now / 1000)
        if online is None:
            return "no such state"
        device.state, device.last_online = state, online
        changes.devices[device.id] = device.row
        self.devices.on_row_replaced(device)
        result = encode(StateResult(self.event(), now, DeviceState(device.name, state, online)))
        self._publish(changes, device_id, constants.STATE_UPDATE_RESULT, result)
        changes.states.append(DeviceStateReported(device=device_id, report=result.decode()))
        return ""

    def _publish(self, changes: TwinTransaction, device_id: str, kind: str, payload: bytes) -> None:
        changes.messages.append(MqttPublish(topic=topics.device_topic(device_id, kind), payload=payload))


def error_result(device_id: str, event_id: str, rejection: Rejection, now: int) -> MqttPublish:
    """The result of an update that was not done."""
    payload = encode(ErrorResult(event_id, now, rejection.code, rejection.reason))
    return MqttPublish(topic=topics.device_topic(device_id, constants.TWIN_UPDATE_RESULT), payload=payload)
