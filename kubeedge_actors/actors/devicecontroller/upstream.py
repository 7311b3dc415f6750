"""Reports of devices on their way into DeviceStatus objects (KubeEdge: devicecontroller/controller/upstream.go): what a
report means, the write queue of each device, and the actors that write.

The last value always arrives, however many came before it: what comes while a write is under way is one write
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubeedge_actors.actors.devicecontroller.device_status import (
    CLEARED,
    apply_report,
    merge_reports,
    parse_state_report,
    parse_twin_report,
)
from kubeedge_actors.actors.devicecontroller.downstream import device_id, node_of, property_names
from kubeedge_actors.drivers.cluster.base import Cluster, object_reference
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import DEVICE_KIND, DEVICESTATUS_KIND, EVENT_KIND
from kubeedge_actors.kubernetes.objects import owner_reference
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceStateReported, TwinReported

Json = dict[str, Any]
WRITE_INTERVAL = 0.2
"""Seconds between two writes of one device."""
BACKOFF_INITIAL, BACKOFF_MAX = 0.5, 30.0
MAX_ACKS = 1_000
MAX_PROPERTIES = 2_000
"""Properties of one device that wait to be written; of more the ones reported last."""


@dataclass(frozen=True, slots=True)
class ReportAck:
    """The sender of a report, to be told when it is stored.

    Its node, under its id, and CloudHub, which keeps it in the edge's outbox until it is `done`d.
    """

    node: str
    msg_id: str
    done: Callable[[bool], object]


@dataclass(slots=True)
class StatusBatch:
    """What one write stores. `reset`: in the place of all that is there, which another node reported."""

    twins: dict[str, Json] = field(default_factory=dict)
    state: Json = field(default_factory=dict)
    acks: list[ReportAck] = field(default_factory=list)
    reset: bool = False

    def add(self, newer: StatusBatch) -> None:
        """Merge a newer batch into this one."""
        if newer.reset:
            self.twins, self.state, self.reset = {}, {}, True
        self.twins = merge_reports(self.twins, newer.twins)
        if len(self.twins) > MAX_PROPERTIES:
            self.twins = dict(list(self.twins.items())[-MAX_PROPERTIES:])
        self.state = {**self.state, **newer.state}
        self.acks += newer.acks

    def take_surplus_acks(self) -> list[ReportAck]:
        """Drop the oldest senders above the limit; returns them.

        Their reports are stored with the others', but nobody remembers whom to confirm to.
        """
        surplus, self.acks = self.acks[:-MAX_ACKS], self.acks[-MAX_ACKS:]
        return surplus


def batch_of(message: TwinReported | DeviceStateReported, sender: ReportAck) -> StatusBatch | None:
    """What a report asks to be stored; None when it is no report."""
    if isinstance(message, TwinReported):
        twins = parse_twin_report(message.report)
        return None if twins is None else StatusBatch(twins=twins, acks=[sender])
    state = parse_state_report(message.report)
    return None if state is None else StatusBatch(state=state, acks=[sender])


@dataclass(slots=True)
class _DeviceQueue:
    waiting: StatusBatch | None = None
    in_flight: StatusBatch | None = None
    not_before: float = 0.0
    failures: int = 0
    unknown_since: float | None = None


class DeviceStatusQueue:
    """Work queue of status writes, one line per device. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._queues: dict[str, _DeviceQueue] = {}

    def add(self, device: str, batch: StatusBatch) -> list[ReportAck]:
        """Queue a report; returns the senders that are dropped because there are too many."""
        line = self._queues.setdefault(device, _DeviceQueue())
        if line.waiting is None:
            line.waiting = batch
        else:
            line.waiting.add(batch)
        return line.waiting.take_surplus_acks()

    def take(self, device: str, now: float) -> StatusBatch | None:
        """The batch to write now; None when there is nothing, a write is in flight, or it is too early."""
        line = self._queues.get(device)
        if line is None or line.waiting is None or line.in_flight is not None or now < line.not_before:
            return None
        line.in_flight, line.waiting = line.waiting, None
        line.unknown_since = None
        return line.in_flight

    def seconds_until_due(self, device: str, now: float) -> float | None:
        """Seconds until `take` may give something; None when nothing waits or a write is under way."""
        line = self._queues.get(device)
        if line is None or line.waiting is None or line.in_flight is not None:
            return None
        return max(0.0, line.not_before - now)

    def on_write_succeeded(self, device: str, now: float) -> list[ReportAck]:
        """The write succeeded: returns the senders to confirm to."""
        line = self._queues.get(device)
        if line is None or line.in_flight is None:
            return []
        senders = line.in_flight.acks
        line.in_flight, line.failures, line.not_before = None, 0, now + WRITE_INTERVAL
        return senders

    def on_write_failed(self, device: str, now: float, longest: float = BACKOFF_MAX) -> None:
        """The write failed: requeue it below what came since, with a back-off of at most `longest` seconds."""
        line = self._queues.get(device)
        if line is None or line.in_flight is None:
            return
        line.failures += 1
        line.not_before = now + min(longest, BACKOFF_INITIAL * 2.0 ** min(line.failures - 1, 10))
        self._requeue(line)

    def requeue_in_flight(self) -> list[str]:
        """Requeue the writes that were in flight at a crash; returns the devices with something to write."""
        for line in self._queues.values():
            if line.in_flight is not None:
                self._requeue(line)
        return [device for device, line in self._queues.items() if line.waiting is not None]

    def drop_wrong_node(self, device: str, node: str) -> list[ReportAck]:
        """Drop the queued reports of other nodes than the device's; returns their senders.

        Only what was said before the device was known can be like that.
        """
        line = self._queues.get(device)
        if line is None or line.waiting is None or all(sender.node == node for sender in line.waiting.acks):
            return []
        senders, reset = line.waiting.acks, line.waiting.reset
        line.waiting = StatusBatch(reset=True) if reset else None
        return senders

    def mark_unknown(self, device: str, now: float) -> None:
        """Note that this device is not known yet."""
        line = self._queues[device]
        if line.unknown_since is None:
            line.unknown_since = now

    def expire_unknown(self, now: float, patience: float) -> dict[str, list[ReportAck]]:
        """Drop the devices that stayed unknown for `patience` seconds; returns them with their senders."""
        late = {
            device: line
            for device, line in self._queues.items()
            if line.unknown_since is not None and now - line.unknown_since >= patience
        }
        for device in late:
            del self._queues[device]
        return {device: line.waiting.acks if line.waiting is not None else [] for device, line in late.items()}

    def remove_idle(self, now: float) -> None:
        """Forget devices without recent reports."""
        still = [d for d, line in self._queues.items() if line.waiting is None and line.in_flight is None]
        for device in [device for device in still if now > self._queues[device].not_before]:
            del self._queues[device]

    def __len__(self) -> int:
        return sum(line.waiting is not None or line.in_flight is not None for line in self._queues.values())

    @staticmethod
    def _requeue(line: _DeviceQueue) -> None:
        assert line.in_flight is not None
        if line.waiting is not None:
            line.in_flight.add(line.waiting)
        line.waiting, line.in_flight = line.in_flight, None


# --- the actors that write DeviceStatus objects -----------------------------------------------------------------------


MAX_TRIES = 4


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Store the reported twins and state of `device` (a devices.kubeedge.io Device); answered when done.

    Nothing reported: see that its DeviceStatus exists. `reset`: in the place of all that is there, as what another node
    has reported always is.
    """

    device: Json
    twins: dict[str, Json]
    state: Json
    reset: bool = False


@dataclass(frozen=True, slots=True)
class ListReporters:
    """Which node has reported each DeviceStatus: answered with device to node, of those that say it, or with the error of the API."""


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Create a v1.Event, unless there is one of that name."""

    event: Json


@dataclass(frozen=True, slots=True)
class RemoveStatus:
    """Delete the DeviceStatus of a deleted device."""

    device: Json


class StatusWriterState:
    """State of the writers that outlives their crashes.

    The statuses as they were last written, and whether Devices take a copy of them.
    """

    def __init__(self) -> None:
        self.known: dict[str, Json] = {}
        self.copying = True


class StatusWriter(Module):
    """Writes statuses one after the other; those of one device stay in order, as they all come to the same writer."""

    group = constants.DEVICECONTROLLER

    def __init__(self, cluster: Cluster, state: StatusWriterState) -> None:
        self._cluster = cluster
        self._state = state

    @on
    def on_write_status(self, order: WriteStatus) -> ClusterError | None:
        """Write a status; answers None, or the error of the API."""
        refusal: ClusterError | None = None
        for _ in range(MAX_TRIES):
            try:
                status, cleared = self._write(order)
            except (Conflict, NotFound, AlreadyExists) as race:
                # what we remember is not what is there: somebody else wrote, deleted or made it
                self._state.known.pop(device_id(order.device), None)
                refusal = race
            except ClusterError as error:
                return error
            else:
                self._copy(order.device, CLEARED | status if cleared else status)
                return None
        return refusal

    @on
    def on_list_reporters(self, order: ListReporters) -> dict[str, str] | ClusterError:
        """Look who has reported what is there."""
        try:
            statuses = self._cluster.list(DEVICESTATUS_KIND).items
        except ClusterError as error:
            return error
        return {device_id(status): reporter for status in statuses if (reporter := _reporter(status))}

    @on
    def on_record_event(self, order: RecordEvent) -> None:
        """Create an Event; one that was told before is not told again."""
        try:
            self._cluster.create(EVENT_KIND, order.event["metadata"]["namespace"], order.event)
        except AlreadyExists:
            self.log.debug("told before: %s", order.event["message"])
        except ClusterError as error:
            self.log.warning("the event about %s can not be written: %s", order.event["involvedObject"]["name"], error)

    @on
    def on_remove_status(self, order: RemoveStatus) -> None:
        """Delete a status, unless it belongs to a successor of the device."""
        reference = object_reference(order.device)
        self._state.known.pop(device_id(order.device), None)
        try:
            status = self._cluster.get(DEVICESTATUS_KIND, reference.namespace, reference.name)
            owners = {owner.get("uid") for owner in status["metadata"].get("ownerReferences") or ()}
            if not owners or reference.uid in owners:
                self._cluster.delete(
                    DEVICESTATUS_KIND, reference.namespace, reference.name, uid=object_reference(status).uid
                )
        except NotFound:
            return
        except ClusterError as error:
            self.log.warning("the status of device %s could not be deleted: %s", device_id(order.device), error)

    def _write(self, order: WriteStatus) -> tuple[Json, bool]:
        """What the DeviceStatus says then, and whether what was there before is gone."""
        reference, id, node = object_reference(order.device), device_id(order.device), node_of(order.device)
        stored = self._stored(order.device)
        cleared = order.reset or (stored is not None and _reporter(stored) not in ("", node))
        if stored is None:
            metadata: Json = {"name": reference.name, "ownerReferences": [_owner_reference(order.device)]}
            if node:
                metadata["annotations"] = {constants.NODE_ANNOTATION: node}
            body = {"metadata": metadata, "status": _updated_status({}, order)}
            written = self._cluster.create(DEVICESTATUS_KIND, reference.namespace, body)
        elif order.twins or order.state or cleared:
            before = {} if cleared else stored.get("status") or {}
            status = (CLEARED if cleared else {}) | _updated_status(before, order)
            metadata = {"resourceVersion": object_reference(stored).version}
            if _reporter(stored) != node:
                metadata["annotations"] = {constants.NODE_ANNOTATION: node or None}
            patch = {"metadata": metadata, "status": status}
            written = self._cluster.patch(DEVICESTATUS_KIND, reference.namespace, reference.name, patch)
        else:
            written = stored
        self._state.known[id] = {"metadata": written["metadata"], "status": written.get("status") or {}}
        return self._state.known[id]["status"], cleared

    def _stored(self, device: Json) -> Json | None:
        reference, known = object_reference(device), self._state.known.get(device_id(device))
        if known is not None:
            return known
        try:
            return self._cluster.get(DEVICESTATUS_KIND, reference.namespace, reference.name)
        except NotFound:
            return None

    def _copy(self, device: Json, status: Json) -> None:
        """The same beside the Device's spec, for those who look there.

        An API whose schema does not know it drops it: then no more.
        """
        if not self._state.copying or not status:
            return
        reference = object_reference(device)
        try:
            answer = self._cluster.patch(DEVICE_KIND, reference.namespace, reference.name, {"status": status})
        except ClusterError as error:
            self.log.debug("no copy of the status in device %s: %s", device_id(device), error)
            return
        if "twins" in status and "twins" not in (answer.get("status") or {}):
            self._state.copying = False


def _updated_status(status: Json, order: WriteStatus) -> Json:
    if not order.twins:
        return order.state
    return {**order.state, "twins": apply_report(status.get("twins") or [], order.twins, property_names(order.device))}


def _owner_reference(device: Json) -> Json:
    reference = object_reference(device)
    return owner_reference(DEVICE_KIND.api_version, DEVICE_KIND.kind, reference.name, reference.uid)


def _reporter(status: Json) -> str:
    """The node that has reported what a DeviceStatus says; empty when it does not say so."""
    return str((status["metadata"].get("annotations") or {}).get(constants.NODE_ANNOTATION) or "")
