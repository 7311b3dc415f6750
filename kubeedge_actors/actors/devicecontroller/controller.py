"""The actor DeviceController: devices and models down, reports up. It never waits; writers do."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kubeedge_actors.actors.devicecontroller.downstream import DeviceDownstream, device_id, node_of
from kubeedge_actors.actors.devicecontroller.messages import (
    DeferredMessage,
    DeviceWriteDue,
    ExpiryCheckDue,
    ReporterCheckDue,
)
from kubeedge_actors.actors.devicecontroller.unknown_reports import UnknownReports
from kubeedge_actors.actors.devicecontroller.upstream import (
    BACKOFF_MAX,
    DeviceStatusQueue,
    ListReporters,
    RecordEvent,
    RemoveStatus,
    ReportAck,
    StatusBatch,
    StatusWriter,
    StatusWriterState,
    WriteStatus,
    batch_of,
)
from kubeedge_actors.actors.devicecontroller.write_turns import WriteTurns
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller, worker_for
from kubeedge_actors.drivers.cluster.base import (
    AWAY_BACKOFF_MAX,
    Cluster,
    EventType,
    InformerSet,
    InformerSpec,
    WatchEvent,
    is_away,
)
from kubeedge_actors.errors import AskTimeout, ClusterError
from kubeedge_actors.hubs.node_budget import BudgetedQueue, size_of
from kubeedge_actors.kubernetes.object_types import DEVICE_KIND, DEVICEMODEL_KIND
from kubeedge_actors.module import on
from kubeedge_actors.outage_log import OncePerInterval, OutageLog
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, ReplyTo
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeviceStateReported,
    LinkMessage,
    MembershipDetail,
    MembershipRequest,
    MembershipUpdate,
    ObjectPushed,
    ReportRefused,
    ReportStored,
    TwinReported,
)

WRITERS = 2
MAILBOX = 20_000
CHECK_SECONDS = 1.0
WRITE_TIMEOUT = 60.0
UNKNOWN_DEVICE_SECONDS = 60.0
"""Seconds after which a report of a device that nobody knows is confirmed all the same, so that it does not block its
edge's outbox for ever.
"""
MAX_DEFERRED, NODE_DEFERRED, NODE_DEFERRED_BYTES = 10_000, 1_000, 4 * 1024 * 1024
"""What waits for the devices to be known: of all nodes, and of each."""
TOO_MANY_UNKNOWN = "too many reports of this node wait for devices that nobody knows"
WRONG_NODE = "the device is not on that node"


class DeviceControllerState(InformerSet):
    """The state of DeviceController that outlives its crashes: informers, devices by node, reports in flight, counters."""

    def __init__(self, cluster: Cluster, counts: Counter[str] | None = None) -> None:
        super().__init__(cluster, [InformerSpec(DEVICEMODEL_KIND), InformerSpec(DEVICE_KIND)])
        self.downstream = DeviceDownstream()
        self.status_queue = DeviceStatusQueue()
        self.unknown = UnknownReports()
        self.deferred: BudgetedQueue[DeferredMessage] = BudgetedQueue(MAX_DEFERRED, NODE_DEFERRED, NODE_DEFERRED_BYTES)
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.warned: set[str] = set()
        self.reporters_checked = False
        self.outage, self.refused = OutageLog(), OncePerInterval()


class DeviceController(Controller):
    """Pushes devices to their nodes and writes reported twins and states into the API.

    What was there before this process began, or changed while a node was away, is SyncController's to push; who is a
    member is answered here whenever a node asks, which it does at each connect.
    """

    name = constants.DEVICECONTROLLER
    group = constants.DEVICECONTROLLER
    emits = (
        ObjectPushed,
        MembershipUpdate,
        MembershipDetail,
        ReportStored,
        ReportRefused,
        *CONTROLLER_EMITS,
        DeviceWriteDue,
        ExpiryCheckDue,
        ReporterCheckDue,
    )

    def __init__(self, state: DeviceControllerState, writers: Sequence[str]) -> None:
        super().__init__(state, state.counts)
        self._state = state
        self._writers = writers
        self._scheduled: set[str] = set()
        self._turns, self._checking = WriteTurns(), False

    def on_start(self) -> None:
        """Start the informers; repeat the writes that were in flight at a crash."""
        super().on_start()
        self.every(CHECK_SECONDS, ExpiryCheckDue())
        for device in self._state.status_queue.requeue_in_flight():
            self._write_next(device)

    # --- down ---------------------------------------------------------------------------------------------------------

    def on_changes_handled(self) -> None:
        """Handle what was deferred until the devices were known."""
        self._check_reporters()
        while self._state.synced and self._state.deferred:
            deferred = self._state.deferred.popleft()
            self._handle(deferred.message, deferred.reply)

    def handle_change(self, change: WatchEvent) -> None:
        """Handle one change and push it to the nodes concerned."""
        messages = self._model(change) if change.kind == DEVICEMODEL_KIND else self._device(change)
        for message in messages:
            self.publish(message)
        if change.type is not EventType.DELETED and not change.initial:
            self._record_misfits(change)

    def _record_misfits(self, change: WatchEvent) -> None:
        """An Event for each desired value that no edge takes."""
        roster = self._state.downstream
        devices = roster.devices_of(change.object) if change.kind == DEVICEMODEL_KIND else [change.object]
        for event in roster.desired_events(devices, self.clock.now()):
            self.tell(self._writer(event["involvedObject"]["name"]), RecordEvent(event))

    def _model(self, change: WatchEvent) -> list[LinkMessage]:
        roster = self._state.downstream
        if change.type is EventType.DELETED:
            roster.remove_model(change.object)
        elif change.initial:
            roster.add_existing_model(change.object)
        else:
            return roster.put_model(change.object)
        return []

    def _device(self, change: WatchEvent) -> list[LinkMessage]:
        roster, device, now = self._state.downstream, change.object, self.clock.now()
        if change.type is EventType.DELETED:
            self.tell(self._writer(device_id(device)), RemoveStatus(device))
            return roster.remove_device(device, now)
        if change.initial:
            roster.add_existing(device)
            return []
        moved = roster.is_moved(device)
        messages = roster.put_device(device, now)
        if moved:
            self._state.status_queue.add(device_id(device), StatusBatch(reset=True))
        if change.type is EventType.ADDED:
            self.tell(self._writer(device_id(device)), WriteStatus(device, {}, {}))
        self._write_next(device_id(device))
        return messages

    def _check_reporters(self) -> None:
        """Once, for the devices that moved to another node while no cloud ran."""
        if self._state.synced and not (self._state.reporters_checked or self._checking):
            self._checking = True
            asked = self.ask(self._writers[0], ListReporters(), WRITE_TIMEOUT)
            asked.then(self._on_reporters_listed, self._on_reporters_listed)

    def _on_reporters_listed(self, found: dict[str, str] | Exception) -> None:
        """See to the statuses that another node than the device's has reported: the writer looks at each."""
        self._checking = False
        if isinstance(found, Exception):
            if _is_away(found):
                self.after(AWAY_BACKOFF_MAX, ReporterCheckDue())
            else:  # a role of an earlier release: what was reported elsewhere stays until the device's node reports
                self._state.reporters_checked = True
                self.log.warning("which nodes have reported the statuses of devices can not be listed: %s", found)
            return
        self._state.reporters_checked = True
        for device, node in found.items():
            known = self._state.downstream.devices.get(device)
            if known is not None and node_of(known) != node:
                self._state.status_queue.add(device, StatusBatch())
                self._write_next(device)

    @on
    def on_reporter_check_due(self, message: ReporterCheckDue) -> None:
        """Look again."""
        self._check_reporters()

    @on
    def on_expiry_check_due(self, message: ExpiryCheckDue) -> None:
        """Release devices that waited too long for a model, and reports that waited too long for a device."""
        for late in self._state.downstream.release_expired_waits(self.clock.now()):
            self.publish(late)
        now = self.clock.monotonic()
        self._drop_unknown(self._state.status_queue.expire_unknown(now, UNKNOWN_DEVICE_SECONDS))
        self._state.status_queue.remove_idle(now)

    def _drop_unknown(self, expired: Mapping[str, Sequence[ReportAck]]) -> None:
        """One line of the log, however many devices there never were."""
        senders = [sender for each in expired.values() for sender in each]
        if not expired:
            return
        self._state.counts["reports of unknown devices"] += len(senders)
        others = f" and {len(expired) - 1} others" if len(expired) > 1 else ""
        text = "%d reports of device %s%s are dropped: there is no such device"
        self.log.warning(text, len(senders), next(iter(expired)), others)
        for device in expired:
            self._state.unknown.release(device)
        self._confirm(senders)

    # --- up -----------------------------------------------------------------------------------------------------------

    @on
    def on_report(self, message: TwinReported | DeviceStateReported) -> None:
        """Queue a report for the API; confirmed when it is stored."""
        self._defer_or_handle(message, self.reply_later())

    @on
    def on_membership_request(self, request: MembershipRequest) -> None:
        """Answer with all devices of the node."""
        self._defer_or_handle(request, None)

    def _defer_or_handle(self, message: LinkMessage, reply_to: ReplyTo | None) -> None:
        if self._state.synced:
            self._handle(message, reply_to)
            return
        dropped = self._state.deferred.append(DeferredMessage(message, reply_to), message.node, size_of(message))
        if dropped is not None:
            self._state.counts["dropped: devices not known yet"] += 1
            self.log.warning(
                "%s of %s is dropped: the devices are not known yet",
                *(type(dropped.message).__name__, dropped.message.node),
            )
            if dropped.reply is not None:
                dropped.reply.fail(AskTimeout("the devices are not known yet"))

    def _handle(self, message: LinkMessage, reply_to: ReplyTo | None) -> None:
        if isinstance(message, MembershipRequest):
            self.publish(self._state.downstream.membership_detail(message.node, self.clock.now()))
        elif isinstance(message, TwinReported | DeviceStateReported):
            self._report(message, ReportAck(message.node, message.msg_id, _report_ack(reply_to)))

    def _report(self, message: TwinReported | DeviceStateReported, sender: ReportAck) -> None:
        device_object = self._state.downstream.devices.get(message.device)
        batch = batch_of(message, sender)
        refusal = "it can not be understood" if batch is None else ""
        if device_object is not None and node_of(device_object) != message.node:
            refusal = WRONG_NODE
        elif device_object is None and not refusal and not self._may_wait(message):
            refusal = TOO_MANY_UNKNOWN
        if refusal or batch is None:
            self._reject(message.device, [sender], refusal)
            return
        for forgotten in self._state.status_queue.add(message.device, batch):
            forgotten.done(False)
        self._write_next(message.device)

    def _may_wait(self, message: TwinReported | DeviceStateReported) -> bool:
        return self._state.unknown.take(message.node, message.device, size_of(message))

    def _reject(self, device: str, senders: Sequence[ReportAck], reason: str = WRONG_NODE) -> None:
        """Acked although not stored: a resend would be rejected again. Counted and logged."""
        nodes = sorted({sender.node for sender in senders})
        for node in nodes:
            self.publish(ReportRefused(node=node))
        self._state.counts[f"reports dropped: {reason}"] += len(senders)
        if set(nodes) <= self._state.warned:
            self.log.debug("a report of %s by %s is dropped: %s", device, ", ".join(nodes), reason)
        else:
            self._state.warned.update(nodes)
            self.log.warning(
                "a report of %s by %s is dropped: %s (further ones of this node are counted and logged at DEBUG)",
                *(device, ", ".join(nodes), reason),
            )
        self._confirm(senders)

    def _write_next(self, device: str) -> None:
        """Write what waits for a device, now or when it is time."""
        now = self.clock.monotonic()
        delay = self._state.status_queue.seconds_until_due(device, now)
        if delay is None:
            return
        device_object = self._state.downstream.devices.get(device)
        if device_object is None:
            self._state.status_queue.mark_unknown(device, now)
            return
        self._state.unknown.release(device)
        strangers = self._state.status_queue.drop_wrong_node(device, node_of(device_object))
        if strangers:
            self._reject(device, strangers)
        if delay and device not in self._scheduled:
            self._scheduled.add(device)
            self.after(delay, DeviceWriteDue(device))
        writer = self._writer(device)
        due = not delay and self._state.status_queue.seconds_until_due(device, now) is not None
        if not due or not self._turns.begin(writer, node_of(device_object), device):
            return
        batch = self._state.status_queue.take(device, now)
        assert batch is not None  # it was due
        future = self.ask(writer, WriteStatus(device_object, batch.twins, batch.state, batch.reset), WRITE_TIMEOUT)
        future.then(
            lambda refusal: self._on_write_done(device, refusal), lambda error: self._on_write_done(device, error)
        )

    @on
    def on_device_write_due(self, message: DeviceWriteDue) -> None:
        """The wait is over: go on."""
        self._scheduled.discard(message.device)
        self._write_next(message.device)

    def _on_write_done(self, device: str, error: Exception | None) -> None:
        now = self.clock.monotonic()
        if error is None:
            self._state.outage.log_recovery(self.log, "statuses of devices are written again", now)
            self._confirm(self._state.status_queue.on_write_succeeded(device, now))
        else:
            self._state.counts["writes failed"] += 1
            self._log_failure(device, error, now)
            longest = AWAY_BACKOFF_MAX if _is_away(error) else BACKOFF_MAX
            self._state.status_queue.on_write_failed(device, now, longest)
        for following in self._turns.end(self._writer(device)):
            self._write_next(following)
        self._write_next(device)

    def _log_failure(self, device: str, error: Exception, now: float) -> None:
        """An API that is away is said once for all devices, what it refuses of one now and then."""
        warn = self._state.outage.on_failure("away", now) if _is_away(error) else self._state.refused.allow(device, now)
        level = logging.WARNING if warn else logging.DEBUG
        self.log.log(level, "the status of device %s could not be written, retrying: %s", device, error)

    def _confirm(self, senders: Sequence[ReportAck]) -> None:
        for sender in senders:
            self.publish(ReportStored(node=sender.node, parent_msg_id=sender.msg_id))
            sender.done(True)

    def _writer(self, device: str) -> str:
        return worker_for(device, self._writers)


def _is_away(error: Exception) -> bool:
    """Whether the API is away; a write that got no turn in time waited for it."""
    return is_away(error) if isinstance(error, ClusterError) else True


def _report_ack(reply_to: ReplyTo | None) -> Callable[[bool], object]:
    def settle(stored: bool) -> object:
        if reply_to is None:
            return None
        return reply_to.send(None) if stored else reply_to.fail(AskTimeout("the report was not stored"))

    return settle


class DeviceStates(NamedTuple):
    """What DeviceController and its writers keep over their crashes, and what others may look at."""

    controller: DeviceControllerState
    writers: StatusWriterState

    @classmethod
    def of(cls, cluster: Cluster, counts: Counter[str] | None = None) -> DeviceStates:
        """Of one cluster. `counts`: the counter for what the controller drops."""
        return cls(DeviceControllerState(cluster, counts), StatusWriterState())

    def status_of(self, device: str) -> dict[str, Any]:
        """The status of a device as it was last written, by us or by a process before; empty when there was none. Any thread."""
        written = self.writers.known.get(device) or self.controller.downstream.devices.get(device) or {}
        return written.get("status") or {}


def child_specs(
    cluster: Cluster, writers: int = WRITERS, counts: Counter[str] | None = None, states: DeviceStates | None = None
) -> list[ChildSpec]:
    """DeviceController and its writers, writers first. `counts`: the counter for what it drops; `states`: theirs, if others look at them."""
    desk, shelf = states or DeviceStates.of(cluster, counts)
    writer_names = [f"{constants.DEVICECONTROLLER}-{number}" for number in range(1, writers + 1)]
    mailbox = MailboxSpec(capacity=MAILBOX)
    return [
        *(
            ChildSpec(name, lambda: StatusWriter(cluster, shelf), mailbox=mailbox, group=StatusWriter.group)
            for name in writer_names
        ),
        DeviceController.spec(lambda: DeviceController(desk, writer_names), mailbox=mailbox),
    ]
