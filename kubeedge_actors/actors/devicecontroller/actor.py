"""The shell of DeviceController: devices and models down, reports up; it decides and never waits."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubeedge_actors.actors.devicecontroller.reports import Batch, Reports, Sender
from kubeedge_actors.actors.devicecontroller.roster import Roster, device_id, node_of
from kubeedge_actors.actors.devicecontroller.twins import read_state, read_twins
from kubeedge_actors.actors.devicecontroller.writer import DEVICE_KIND, RemoveStatus, Shelf, StatusWriter, WriteStatus
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller
from kubeedge_actors.drivers.cluster.base import Change, Cluster, Kind, Lookout, Operation, Wanted
from kubeedge_actors.errors import AskTimeout
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, Reply
from kubeedge_actors.wire import kinds, names
from kubeedge_actors.wire.messages import (
    AskMembership,
    DeviceStateReported,
    MembershipChanged,
    MembershipDetailed,
    ObjectPushed,
    ReportConfirmed,
    Said,
    TwinReported,
)

MODEL_KIND = Kind(*kinds.DEVICEMODEL)
WRITERS = 2
MAILBOX = 20_000
TICK = 1.0
WRITE_TIMEOUT = 60.0
STRANGER_PATIENCE = 60.0
"""Seconds after which a report of a device that nobody knows is confirmed all the same, so that it does not block its
edge's outbox for ever.
"""
HELD = 10_000
NOT_THERE = "the device is not on that node"


@dataclass(frozen=True, slots=True)
class Pump:
    """It is time to write what waits for this device."""

    device: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A second has passed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A report or question that waits until the devices are known, and the right to say that it was handled."""

    said: Said
    reply: Reply | None


class Desk(Lookout):
    """What DeviceController keeps over its crashes: its watches, who is where, the reports on their way, counters."""

    def __init__(self, cluster: Cluster, counts: Counter[str] | None = None) -> None:
        super().__init__(cluster, [Wanted(MODEL_KIND), Wanted(DEVICE_KIND)])
        self.roster = Roster()
        self.reports = Reports()
        self.held: deque[Heard] = deque()
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.warned: set[str] = set()


class DeviceController(Controller):
    """Tells nodes of their devices and writes what they report of them.

    What was there before this process began, or changed while a node was away, is SyncController's to push; who is a
    member is answered here whenever a node asks, which it does at each connect.
    """

    name = names.DEVICECONTROLLER
    group = names.DEVICECONTROLLER
    emits = (ObjectPushed, MembershipChanged, MembershipDetailed, ReportConfirmed, *CONTROLLER_EMITS, Pump, Tick)

    def __init__(self, desk: Desk, writers: Sequence[str]) -> None:
        super().__init__(desk, desk.counts)
        self._desk = desk
        self._writers = writers
        self._armed: set[str] = set()

    def on_start(self) -> None:
        """Watch; make again the writes that were under way when a crash came."""
        super().on_start()
        self.every(TICK, Tick())
        for device in self._desk.reports.land():
            self._pump(device)

    # --- down ---------------------------------------------------------------------------------------------------------

    def changes_taken(self) -> None:
        """Do what waited until the devices were known."""
        while self._desk.synced and self._desk.held:
            held = self._desk.held.popleft()
            self._handle(held.said, held.reply)

    def take_change(self, change: Change) -> None:
        """Take in one change and tell nodes of it."""
        said = self._model(change) if change.kind == MODEL_KIND else self._device(change)
        for message in said:
            self.publish(message)

    def _model(self, change: Change) -> list[Said]:
        roster = self._desk.roster
        if change.operation is Operation.DELETED:
            roster.remove_model(change.object)
        elif change.initial:
            roster.learn_model(change.object)
        else:
            return roster.put_model(change.object)
        return []

    def _device(self, change: Change) -> list[Said]:
        roster, device, now = self._desk.roster, change.object, self.clock.now()
        if change.operation is Operation.DELETED:
            self.tell(self._writer(device_id(device)), RemoveStatus(device))
            return roster.remove_device(device, now)
        if change.initial:
            roster.learn(device)
            return []
        said = roster.put_device(device, now)
        if change.operation is Operation.ADDED:
            self.tell(self._writer(device_id(device)), WriteStatus(device, {}, {}))
        self._pump(device_id(device))
        return said

    @on
    def tick(self, message: Tick) -> None:
        """Let no device wait for ever for its model, and no report for its device."""
        for late in self._desk.roster.overdue(self.clock.now()):
            self.publish(late)
        now = self.clock.monotonic()
        for device, senders in self._desk.reports.given_up(now, STRANGER_PATIENCE).items():
            self._desk.counts["reports of unknown devices"] += len(senders)
            self.log.warning("%d reports of device %s are dropped: there is no such device", len(senders), device)
            self._confirm(senders)
        self._desk.reports.tidy(now)

    # --- up -----------------------------------------------------------------------------------------------------------

    @on
    def reported(self, message: TwinReported | DeviceStateReported) -> None:
        """Store what an edge reports; it is told when that is done."""
        self._hold_or_handle(message, self.reply_later())

    @on
    def asked(self, question: AskMembership) -> None:
        """Say which devices the node has."""
        self._hold_or_handle(question, None)

    def _hold_or_handle(self, said: Said, reply: Reply | None) -> None:
        if self._desk.synced:
            self._handle(said, reply)
            return
        self._desk.held.append(Heard(said, reply))
        if len(self._desk.held) > HELD:
            oldest = self._desk.held.popleft()
            self._desk.counts["dropped: devices not known yet"] += 1
            self.log.warning(
                "%s of %s is dropped: the devices are not known yet", type(oldest.said).__name__, oldest.said.node
            )
            if oldest.reply is not None:
                oldest.reply.fail(AskTimeout("the devices are not known yet"))

    def _handle(self, said: Said, reply: Reply | None) -> None:
        if isinstance(said, AskMembership):
            self.publish(self._desk.roster.detail(said.node, self.clock.now()))
        elif isinstance(said, TwinReported | DeviceStateReported):
            self._report(said, Sender(said.node, said.msg_id, _settler(reply)))

    def _report(self, said: TwinReported | DeviceStateReported, sender: Sender) -> None:
        known = self._desk.roster.devices.get(said.device)
        batch = _batch(said, sender)
        refusal = "it can not be understood" if batch is None else ""
        if known is not None and node_of(known) != said.node:
            refusal = NOT_THERE
        if refusal or batch is None:
            self._drop(said.device, [sender], refusal)
            return
        for forgotten in self._desk.reports.add(said.device, batch):
            forgotten.settle(False)
        self._pump(said.device)

    def _drop(self, device: str, senders: Sequence[Sender], why: str = NOT_THERE) -> None:
        """Confirmed, because saying it again would change nothing; only we know that it was not stored."""
        nodes = sorted({sender.node for sender in senders})
        self._desk.counts[f"reports dropped: {why}"] += len(senders)
        if set(nodes) <= self._desk.warned:
            self.log.debug("a report of %s by %s is dropped: %s", device, ", ".join(nodes), why)
        else:
            self._desk.warned.update(nodes)
            self.log.warning(
                "a report of %s by %s is dropped: %s (more of this node are counted and said at DEBUG)",
                *(device, ", ".join(nodes), why),
            )
        self._confirm(senders)

    def _pump(self, device: str) -> None:
        """Write what waits for a device, now or when it is time."""
        now = self.clock.monotonic()
        delay = self._desk.reports.delay(device, now)
        if delay is None:
            return
        known = self._desk.roster.devices.get(device)
        if known is None:
            self._desk.reports.unknown(device, now)
            return
        strangers = self._desk.reports.disown(device, node_of(known))
        if strangers:
            self._drop(device, strangers)
        batch = self._desk.reports.take(device, now)
        if batch is None:
            if device not in self._armed:
                self._armed.add(device)
                self.after(delay, Pump(device))
            return
        promise = self.ask(self._writer(device), WriteStatus(known, batch.twins, batch.state), WRITE_TIMEOUT)
        promise.then(lambda refusal: self._landed(device, refusal), lambda error: self._landed(device, error))

    @on
    def pump(self, message: Pump) -> None:
        """It is time."""
        self._armed.discard(message.device)
        self._pump(message.device)

    def _landed(self, device: str, error: Exception | None) -> None:
        now = self.clock.monotonic()
        if error is None:
            self._confirm(self._desk.reports.written(device, now))
        else:
            self._desk.counts["writes failed"] += 1
            self.log.warning("the status of device %s could not be written and is tried again: %s", device, error)
            self._desk.reports.failed(device, now)
        self._pump(device)

    def _confirm(self, senders: Sequence[Sender]) -> None:
        for sender in senders:
            self.publish(ReportConfirmed(node=sender.node, parent_msg_id=sender.msg_id))
            sender.settle(True)

    def _writer(self, device: str) -> str:
        return self._writers[zlib.crc32(device.encode()) % len(self._writers)]


def _batch(said: TwinReported | DeviceStateReported, sender: Sender) -> Batch | None:
    if isinstance(said, TwinReported):
        twins = read_twins(said.report)
        return None if twins is None else Batch(twins=twins, senders=[sender])
    state = read_state(said.report)
    return None if state is None else Batch(state=state, senders=[sender])


def _settler(reply: Reply | None) -> Callable[[bool], object]:
    def settle(stored: bool) -> object:
        if reply is None:
            return None
        return reply.send(None) if stored else reply.fail(AskTimeout("the report was not stored"))

    return settle


def specs(cluster: Cluster, writers: int = WRITERS, counts: Counter[str] | None = None) -> list[ChildSpec]:
    """DeviceController and its writers, writers first. `counts`: where it counts what it drops."""
    desk, shelf = Desk(cluster, counts), Shelf()
    writer_names = [f"{names.DEVICECONTROLLER}-{number}" for number in range(1, writers + 1)]
    mailbox = MailboxSpec(capacity=MAILBOX)
    return [
        *(
            ChildSpec(name, lambda: StatusWriter(cluster, shelf), mailbox=mailbox, group=StatusWriter.group)
            for name in writer_names
        ),
        DeviceController.spec(lambda: DeviceController(desk, writer_names), mailbox=mailbox),
    ]
