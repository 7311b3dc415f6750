"""The shell of SyncController: compares what nodes should have with what they have; it never waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from kubeedge_actors.actors.synccontroller.clerk import CLERK, Clerk, SayAgain, WriteDown
from kubeedge_actors.actors.synccontroller.holdings import BY_USE, Holdings
from kubeedge_actors.actors.synccontroller.ledger import NOTHING, Ledger, Missing, Write
from kubeedge_actors.actors.synccontroller.wording import (
    CLUSTER_SYNC_KIND,
    SYNC_KIND,
    TRACKED,
    deletion,
    pushed_record,
    read_sync,
    record_of,
    update,
)
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller
from kubeedge_actors.drivers.cluster.base import Change, Cluster, Kind, Lookout, Operation, Wanted
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import kinds, names
from kubeedge_actors.wire.messages import (
    LeadershipChanged,
    NodeRemoved,
    ObjectDelivered,
    ObjectPushed,
    ObjectSeen,
    SessionClosed,
    SessionOpened,
)

COMPARE_EVERY, SWEEP_EVERY = 5.0, 60.0
BATCH = 100
PAUSE = 5.0
WRITE_TIMEOUT = 120.0
MAILBOX = 20_000
TYPES = {Kind(*kinds.BY_TYPE[type]): type for type in sorted(TRACKED)}
RECORD_KINDS = (SYNC_KIND, CLUSTER_SYNC_KIND)


@dataclass(frozen=True, slots=True)
class Compare:
    """Five seconds have passed."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A minute has passed."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Something is due to be written down."""


class Desk(Lookout):
    """What SyncController keeps over its crashes: its watches, who has what, who is connected, counters."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, [_wanted(kind) for kind in (*TYPES, *RECORD_KINDS)])
        self.holdings = Holdings()
        self.ledger = Ledger()
        self.connected: set[str] = set()
        self.leading = True
        self.counts: Counter[str] = Counter()


def _wanted(kind: Kind) -> Wanted:
    cache = kind not in RECORD_KINDS and TYPES[kind] not in BY_USE
    return Wanted(kind, labels=names.EDGE_LABEL if TYPES.get(kind) == names.NODE else "", cache=cache)


class SyncController(Controller):
    """Owns what a node missed: at each session's begin and every five seconds."""

    name = names.SYNCCONTROLLER
    group = names.SYNCCONTROLLER
    emits = (ObjectPushed, *CONTROLLER_EMITS, Compare, Sweep, Flush)

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, desk.counts)
        self._desk = desk
        self._ledger = desk.ledger
        self._ready = False
        self._writing = False
        self._flush_at: float | None = None

    def on_start(self) -> None:
        """Watch; go on with what was not written down when a crash came."""
        self._ledger.land(self.clock.monotonic())
        super().on_start()
        self.every(COMPARE_EVERY, Compare())
        self.every(SWEEP_EVERY, Sweep())

    # --- what is learnt -----------------------------------------------------------------------------------------------

    def changes_taken(self) -> None:
        """With the last of the first lists the comparing begins."""
        if self._desk.synced and not self._ready:
            self._ready = True
            self.sweep(Sweep())
            self.compare(Compare())
        self._arm()

    def take_change(self, change: Change) -> None:
        """Note what an object or a record is now."""
        gone = change.operation is Operation.DELETED
        if change.kind not in RECORD_KINDS:
            type = TYPES[change.kind]
            if gone:
                self._desk.holdings.remove(type, change.object)
            else:
                whole = type not in BY_USE
                self._desk.holdings.put(type, change.object, self.clock.monotonic(), whole=whole)
            return
        found = read_sync(change.object)
        if found is not None:
            node, record = found
            if gone and node in self._desk.connected:
                self._ledger.unload(node, record.uid)
            elif gone:
                self._ledger.drop(node, record.uid)
            else:
                self._ledger.load(node, record)

    @on(batch=256)
    def pushed(self, messages: list[ObjectPushed]) -> None:
        """Remember that a node will have it, if all goes well."""
        now = self.clock.monotonic()
        for push in messages:
            if push.echo:
                continue  # perhaps it is not said
            version = NOTHING if push.operation == names.DELETE else push.resource_version
            record = pushed_record(push, offered=version)
            if record is not None:
                # another replica may have the node's session: it writes first, and its record makes ours needless
                self._ledger.offered(push.node, record, now, mine=push.node in self._desk.connected)
        self._arm()

    @on(batch=256)
    def delivered(self, messages: list[ObjectDelivered]) -> None:
        """Remember that a node has it, or has it no more."""
        now = self.clock.monotonic()
        for message in messages:
            record = pushed_record(message.pushed, version=message.pushed.resource_version)
            if record is None:
                continue
            if message.pushed.operation == names.DELETE:
                self._ledger.deleted(message.node, record.uid, now)
            else:
                self._ledger.delivered(message.node, record, now)
        self._arm()

    @on
    def seen(self, message: ObjectSeen) -> None:
        """Remember what a node got as an answer."""
        record = record_of(message.type, message.namespace, message.name, message.uid, seen=message.resource_version)
        if record is not None:
            self._ledger.seen(message.node, record, self.clock.monotonic())
            self._arm()

    # --- what is said again -------------------------------------------------------------------------------------------

    @on
    def opened(self, message: SessionOpened) -> None:
        """Say what the node missed."""
        self._desk.connected.add(message.node)
        self._ledger.session(message.node)
        if self._ready:
            self._compare(message.node)
            self._arm()

    @on
    def closed(self, message: SessionClosed) -> None:
        """Say nothing until it is back."""
        self._desk.connected.discard(message.node)

    @on
    def removed(self, message: NodeRemoved) -> None:
        """Forget what it had."""
        self._ledger.forget_node(message.node, self.clock.monotonic())
        self._arm()

    @on
    def compare(self, message: Compare) -> None:
        """Say what connected nodes miss."""
        if self._ready:
            for node in sorted(self._desk.connected):
                self._compare(node)
            self._arm()

    @on
    def sweep(self, message: Sweep) -> None:
        """Forget nodes that nobody knows; the replica that leads does it for all."""
        if not self._ready or not self._desk.leading:
            return
        for node in self._ledger.nodes():
            if node not in self._desk.connected and not self._desk.holdings.has_node(node):
                self._ledger.forget_node(node, self.clock.monotonic())
        self._arm()

    @on
    def leadership(self, message: LeadershipChanged) -> None:
        """Remember whether this replica leads."""
        self._desk.leading = message.leading

    def _compare(self, node: str) -> None:
        now = self.clock.monotonic()
        for missing in list(self._ledger.missing(node, self._desk.holdings, now)):
            self._say(node, missing, now)

    def _say(self, node: str, missing: Missing, now: float) -> None:
        record, item = missing.record, missing.item
        if item is None and record.type == names.NODE:
            self._ledger.deleted(node, record.uid, now)  # an older incarnation of the node itself: no news for it
            return
        self._desk.counts["said again"] += 1
        record.offered = NOTHING if item is None else item.version
        record.offered_at = now
        if item is None:
            self.publish(deletion(node, record))
        elif item.object is None:
            self.tell(CLERK, SayAgain(node, record))
        else:
            self.publish(update(node, record.type, item.object))

    # --- what is written down -----------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Have `flush` called when the next write is due."""
        due = self._ledger.next_due()
        if due is None or self._writing or (self._flush_at is not None and self._flush_at <= due):
            return
        self._flush_at = due
        self.after(max(0.0, due - self.clock.monotonic()), Flush())

    @on
    def flush(self, message: Flush) -> None:
        """Have the clerk write down what is due; one batch at a time."""
        self._flush_at = None
        if self._writing:
            return
        writes = self._ledger.due(self.clock.monotonic(), BATCH)
        if not writes:
            self._arm()
            return
        self._writing = True
        promise = self.ask(CLERK, WriteDown(writes), WRITE_TIMEOUT)
        promise.then(lambda done: self._written(writes, done), lambda error: self._written(writes, []))

    def _written(self, writes: list[Write], done: list[Write]) -> None:
        self._writing = False
        finished = {(write.node, write.uid) for write in done}
        for write in writes:
            if (write.node, write.uid) in finished:
                self._ledger.written(write)
            else:
                self._ledger.again(write, self.clock.monotonic(), PAUSE)
        self._arm()


def specs(cluster: Cluster) -> list[ChildSpec]:
    """SyncController and its clerk, the clerk first."""
    desk = Desk(cluster)
    mailbox = MailboxSpec(capacity=MAILBOX)
    return [
        ChildSpec(CLERK, lambda: Clerk(cluster), mailbox=mailbox, emits=Clerk.emits, group=Clerk.group),
        SyncController.spec(lambda: SyncController(desk), mailbox=mailbox),
    ]
