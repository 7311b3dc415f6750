"""The actor SyncController: compares what nodes should have with what they have. It never waits; a writer does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from kubeedge_actors.actors.synccontroller.object_index import NodeObjectIndex
from kubeedge_actors.actors.synccontroller.objectsync import NO_VERSION, ObjectSyncStore, ObjectSyncWrite, OutOfSync
from kubeedge_actors.actors.synccontroller.objectsync_writer import (
    OBJECTSYNC_WRITER,
    SYNCED_TYPES,
    ObjectSyncWriter,
    PushAgain,
    WriteRecords,
    deletion_push,
    parse_record,
    pushed_record,
    record_of,
    update_push,
)
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    EventType,
    InformerSet,
    InformerSpec,
    WatchEvent,
)
from kubeedge_actors.kubernetes.object_types import BY_NAME, CLUSTEROBJECTSYNC_KIND, OBJECTSYNC_KIND, ResourceKind
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    LeadershipChanged,
    NodeRemoved,
    ObjectAcked,
    ObjectPushed,
    ObjectVersionDelivered,
    SessionClosed,
    SessionOpened,
)

RESYNC_PERIOD, GC_PERIOD = 5.0, 60.0
WRITE_BATCH = 100
WRITE_RETRY_SECONDS = 5.0
WRITE_TIMEOUT = 120.0
MAILBOX = 20_000
TYPES = {BY_NAME[type].kind: type for type in sorted(SYNCED_TYPES)}
RECORD_KINDS = (OBJECTSYNC_KIND, CLUSTEROBJECTSYNC_KIND)


@dataclass(frozen=True, slots=True)
class ResyncDue:
    """Timer: resync connected nodes, every 5 s."""


@dataclass(frozen=True, slots=True)
class GcDue:
    """Timer: delete records of unknown nodes, every minute."""


@dataclass(frozen=True, slots=True)
class WriteDue:
    """Timer: a record is due to be written."""


class SyncControllerState(InformerSet):
    """State of SyncController that outlives its crashes: informers, records, connected nodes, counters."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, [_informer_spec(kind) for kind in (*TYPES, *RECORD_KINDS)])
        self.index = NodeObjectIndex()
        self.objectsyncs = ObjectSyncStore()
        self.connected: set[str] = set()
        self.leading = True
        self.counts: Counter[str] = Counter()


def _informer_spec(kind: ResourceKind) -> InformerSpec:
    cache = kind not in RECORD_KINDS and not BY_NAME[TYPES[kind]].is_pod_config
    return InformerSpec(kind, labels=constants.EDGE_LABEL if TYPES.get(kind) == constants.NODE else "", cache=cache)


class SyncController(Controller):
    """Repeats what a node missed: when a session opens and every five seconds."""

    name = constants.SYNCCONTROLLER
    group = constants.SYNCCONTROLLER
    emits = (ObjectPushed, *CONTROLLER_EMITS, ResyncDue, GcDue, WriteDue)

    def __init__(self, state: SyncControllerState) -> None:
        super().__init__(state, state.counts)
        self._state = state
        self._store = state.objectsyncs
        self._ready = False
        self._write_in_flight = False
        self._write_at: float | None = None

    def on_start(self) -> None:
        """Start the informers; requeue the writes that were in flight at a crash."""
        self._store.requeue_in_flight(self.clock.monotonic())
        super().on_start()
        self.every(RESYNC_PERIOD, ResyncDue())
        self.every(GC_PERIOD, GcDue())

    # --- what is learnt -----------------------------------------------------------------------------------------------

    def on_changes_handled(self) -> None:
        """Start to compare once all first lists are complete."""
        if self._state.synced and not self._ready:
            self._ready = True
            self.on_gc_due(GcDue())
            self.on_resync_due(ResyncDue())
        self._schedule_write()

    def handle_change(self, change: WatchEvent) -> None:
        """Update the index or a record."""
        deleted = change.type is EventType.DELETED
        if change.kind not in RECORD_KINDS:
            type = TYPES[change.kind]
            if deleted:
                self._state.index.remove(type, change.object, self.clock.monotonic())
            else:
                whole = not BY_NAME[type].is_pod_config
                self._state.index.put(type, change.object, self.clock.monotonic(), whole=whole)
            return
        parsed = parse_record(change.object)
        if parsed is not None:
            node, record = parsed
            if deleted and node in self._state.connected:
                self._store.on_record_deleted(node, record.uid)
            elif deleted:
                self._store.on_foreign_record_deleted(node, record.uid)
            else:
                self._store.load(node, record)

    @on(batch=256)
    def on_object_pushed(self, messages: list[ObjectPushed]) -> None:
        """Record that objects were pushed."""
        now = self.clock.monotonic()
        for push in messages:
            if push.status_only:
                continue  # perhaps it is not said
            version = NO_VERSION if push.operation == constants.DELETE else push.resource_version
            record = pushed_record(push, pushed_version=version)
            if record is not None:
                # another replica may have the node's session: it writes first, and its record makes ours needless
                self._store.on_pushed(push.node, record, now, connected=push.node in self._state.connected)
        self._schedule_write()

    @on(batch=256)
    def on_object_acked(self, messages: list[ObjectAcked]) -> None:
        """Record that objects were acknowledged, or deletions."""
        now = self.clock.monotonic()
        for message in messages:
            record = pushed_record(message.pushed, version=message.pushed.resource_version)
            if record is None:
                continue
            if message.pushed.operation == constants.DELETE:
                self._store.on_deletion_acked(message.node, record.uid, now)
            else:
                self._store.on_acked(message.node, record, now)
        self._schedule_write()

    @on
    def on_object_version_delivered(self, message: ObjectVersionDelivered) -> None:
        """Record the version that a node got in a response."""
        record = record_of(
            message.type, message.namespace, message.name, message.uid, delivered_version=message.resource_version
        )
        if record is not None:
            self._store.on_version_delivered(message.node, record, self.clock.monotonic())
            self._schedule_write()

    # --- what is said again -------------------------------------------------------------------------------------------

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """Push what the node missed."""
        self._state.connected.add(message.node)
        self._store.on_session_opened(message.node)
        if self._ready:
            self._resync(message.node, just_connected=True)
            self._schedule_write()

    @on
    def on_session_closed(self, message: SessionClosed) -> None:
        """The node is disconnected: push nothing until it is back."""
        self._state.connected.discard(message.node)

    @on
    def on_node_removed(self, message: NodeRemoved) -> None:
        """Delete the records of the node."""
        self._store.forget_node(message.node, self.clock.monotonic())
        self._schedule_write()

    @on
    def on_resync_due(self, message: ResyncDue) -> None:
        """Push what connected nodes miss."""
        if self._ready:
            for node in sorted(self._state.connected):
                self._resync(node)
            self._schedule_write()

    @on
    def on_gc_due(self, message: GcDue) -> None:
        """Delete the records of unknown nodes; only the leader does it."""
        if not self._ready or not self._state.leading:
            return
        for node in self._store.nodes():
            if node not in self._state.connected and not self._state.index.has_node(node):
                self._store.forget_node(node, self.clock.monotonic())
        self._schedule_write()

    @on
    def on_leadership_changed(self, message: LeadershipChanged) -> None:
        """Remember whether this replica leads."""
        self._state.leading = message.leading

    def _resync(self, node: str, *, just_connected: bool = False) -> None:
        now = self.clock.monotonic()
        for missing in list(self._store.out_of_sync(node, self._state.index, now, just_connected=just_connected)):
            self._push_again(node, missing, now)

    def _push_again(self, node: str, missing: OutOfSync, now: float) -> None:
        record, item = missing.record, missing.item
        if item is None and record.type == constants.NODE:
            self._store.on_deletion_acked(
                node, record.uid, now
            )  # an older incarnation of the node itself: no news for it
            return
        self._state.counts["said again"] += 1
        record.pushed_version = NO_VERSION if item is None else item.version
        record.pushed_at = now
        if item is None:
            self.publish(deletion_push(node, record))
        elif item.object is None:
            self.tell(OBJECTSYNC_WRITER, PushAgain(node, record))
        else:
            self.publish(update_push(node, record.type, item.object))

    # --- what is written down -----------------------------------------------------------------------------------------

    def _schedule_write(self) -> None:
        """Have `on_write_due` called when the next write is due."""
        due = self._store.next_due()
        if due is None or self._write_in_flight or (self._write_at is not None and self._write_at <= due):
            return
        self._write_at = due
        self.after(max(0.0, due - self.clock.monotonic()), WriteDue())

    @on
    def on_write_due(self, message: WriteDue) -> None:
        """Ask the writer to write the records that are due; one batch at a time."""
        self._write_at = None
        if self._write_in_flight:
            return
        writes = self._store.take_due(self.clock.monotonic(), WRITE_BATCH)
        if not writes:
            self._schedule_write()
            return
        self._write_in_flight = True
        future = self.ask(OBJECTSYNC_WRITER, WriteRecords(writes), WRITE_TIMEOUT)
        future.then(lambda written: self._on_written(writes, written), lambda error: self._on_written(writes, []))

    def _on_written(self, writes: list[ObjectSyncWrite], written: list[ObjectSyncWrite]) -> None:
        self._write_in_flight = False
        finished = {(write.node, write.uid) for write in written}
        for write in writes:
            if (write.node, write.uid) in finished:
                self._store.on_write_succeeded(write)
            else:
                self._store.on_write_failed(write, self.clock.monotonic(), WRITE_RETRY_SECONDS)
        self._schedule_write()


def child_specs(cluster: Cluster) -> list[ChildSpec]:
    """The child specs of SyncController and its writer, the writer first."""
    desk = SyncControllerState(cluster)
    mailbox = MailboxSpec(capacity=MAILBOX)
    return [
        ChildSpec(
            OBJECTSYNC_WRITER,
            lambda: ObjectSyncWriter(cluster),
            mailbox=mailbox,
            emits=ObjectSyncWriter.emits,
            group=ObjectSyncWriter.group,
        ),
        SyncController.spec(lambda: SyncController(desk), mailbox=mailbox),
    ]
