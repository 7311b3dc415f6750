"""What each node has: ObjectSync records, the pushes that are due, and the records to write (KubeEdge: ObjectSync,
ClusterObjectSync; synccontroller.manageObject).

Pure: the time comes in.

A record (ObjectSync, source: KubeEdge synccontroller) says which version of one object a node has. It is kept in memory
at once and in the API a little later. Creation of a record is written within 0.2 s: without it a later delete would not
be sent to that node. The version is written lazily: losing it only causes one redundant push.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubeedge_actors.actors.synccontroller.object_index import IndexedObject, NodeObjectIndex
from kubeedge_actors.kubernetes.object_types import BY_NAME
from kubeedge_actors.wire import constants

CREATE_DELAY, VERSION_DELAY, STATUS_DELAY = 0.2, 5.0, 60.0
"""Seconds until a record, a delivered version, a version without consequence is written."""
REPUSH_SECONDS = 30.0
"""Seconds after which an unacknowledged push is said again within a session (CloudHub repeats it meanwhile)."""
STATUS_SETTLE_SECONDS = 1.0
"""Seconds that a change of status is given to turn out to be the node's own."""
NO_VERSION = "0"


@dataclass(slots=True)
class ObjectSyncRecord:
    """What a node has of an object. `stored_version`: the version in the API, None when the API has no record; `delivered_version`: the
    newest version that the node got as the answer to its own write.
    """

    type: str
    namespace: str
    name: str
    uid: str
    version: str = NO_VERSION
    stored_version: str | None = None
    delivered_version: str = NO_VERSION
    pushed_version: str = ""
    pushed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectSyncWrite:
    """One change of a record in the API. `version` None: delete the record. `known`: the API has it."""

    node: str
    uid: str
    type: str
    namespace: str
    name: str
    version: str | None
    known: bool


@dataclass(frozen=True, slots=True)
class OutOfSync:
    """An object that a node misses or has in an older version.

    `item`: it as it is now; None when `record` is of an object that is gone or no longer the node's.
    """

    record: ObjectSyncRecord
    item: IndexedObject | None


class ObjectSyncStore:
    """All records, by node and uid."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, ObjectSyncRecord]] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._gone: dict[tuple[str, str], ObjectSyncRecord] = {}
        self._in_flight: dict[tuple[str, str], ObjectSyncWrite] = {}

    # --- what is learnt -----------------------------------------------------------------------------------------------

    def load(self, node: str, record: ObjectSyncRecord) -> None:
        """Load a record of the API."""
        tracked = self._records.setdefault(node, {}).setdefault(record.uid, record)
        tracked.stored_version = record.stored_version
        if is_newer(record.version, tracked.version):
            tracked.version = record.version

    def on_record_deleted(self, node: str, uid: str) -> None:
        """The record was deleted from the API: created again if the node still has the object."""
        record = self._records.get(node, {}).get(uid)
        if record is not None and record.stored_version is not None:
            record.stored_version = None

    def on_foreign_record_deleted(self, node: str, uid: str) -> None:
        """The record of a node that is connected to another replica was deleted from the API."""
        self._records.get(node, {}).pop(uid, None)

    def on_pushed(self, node: str, record: ObjectSyncRecord, now: float, *, connected: bool = True) -> None:
        """The object was pushed in version `record.pushed_version`. `connected`: the node is connected here."""
        if not connected and record.pushed_version == NO_VERSION and record.uid not in self._records.get(node, {}):
            return
        tracked = self._record(node, record, now, CREATE_DELAY if connected else VERSION_DELAY)
        tracked.pushed_version, tracked.pushed_at = record.pushed_version, now

    def on_acked(self, node: str, record: ObjectSyncRecord, now: float) -> None:
        """The node has acknowledged `record.version`."""
        tracked = self._record(node, record, now)
        if is_newer(record.version, tracked.version):
            tracked.version = record.version
            self._schedule(node, tracked.uid, now + VERSION_DELAY)

    def on_deletion_acked(self, node: str, uid: str, now: float) -> None:
        """The node has acknowledged the deletion."""
        record = self._records.get(node, {}).pop(uid, None)
        if record is not None:
            self._gone[node, uid] = record
            self._schedule(node, uid, now + CREATE_DELAY)

    def on_version_delivered(self, node: str, record: ObjectSyncRecord, now: float) -> None:
        """The node got `record.delivered_version` in a response."""
        tracked = self._record(node, record, now)
        if is_newer(record.delivered_version, tracked.delivered_version):
            tracked.delivered_version = record.delivered_version

    def forget_node(self, node: str, now: float) -> None:
        """The node was deleted: delete its records."""
        for uid, record in self._records.pop(node, {}).items():
            self._gone[node, uid] = record
            self._schedule(node, uid, now + CREATE_DELAY)

    def on_session_opened(self, node: str) -> None:
        """A session was opened: earlier pushes may not have arrived."""
        for record in self._records.get(node, {}).values():
            record.pushed_version = ""

    def nodes(self) -> list[str]:
        """The nodes of which there are records."""
        return [node for node, records in self._records.items() if records]

    def records(self, node: str) -> list[ObjectSyncRecord]:
        """The records of a node."""
        return list(self._records.get(node, {}).values())

    # --- what a node misses -------------------------------------------------------------------------------------------

    def out_of_sync(
        self, node: str, holdings: NodeObjectIndex, now: float, *, just_connected: bool
    ) -> Iterator[OutOfSync]:
        """Yield the pushes that are due now, deletes first.

        Edges identify objects by name, so a recreated object must come after the delete of the old one. A node that has
        been connected for a while hears of a deletion, with the whole object, by the controller of such objects a moment
        after it is seen here; only one that has `just_connected` is told at once.
        """
        own = {item.uid: item for item in holdings.of_node(node)}
        remaining: list[tuple[ObjectSyncRecord, IndexedObject]] = []
        for record in self.records(node):
            indexed = holdings.get(record.uid)
            if indexed is None or not holdings.is_bound_to(indexed, node):
                if self._has_successor(node, record):
                    self.on_deletion_acked(node, record.uid, now)
                elif not just_connected and holdings.is_just_removed(record.uid, now):
                    continue
                elif _push_due(record, NO_VERSION, now):
                    yield OutOfSync(record, None)
            elif record.uid not in own:
                remaining.append((record, indexed))
        for item in own.values():
            record = self._record(node, ObjectSyncRecord(item.type, item.namespace, item.name, item.uid), now)
            yield from self._compare(node, record, item, now)
        for record, indexed in remaining:
            yield from self._compare(node, record, indexed, now)

    def _has_successor(self, node: str, record: ObjectSyncRecord) -> bool:
        """Whether the node has a newer object in this one's place: it knows all but pods by name, so a deletion that is
        said now would take that one.
        """
        if record.type == constants.POD:
            return False
        place = (record.type, record.namespace, record.name)
        others = (other for other in self._records[node].values() if other.uid != record.uid)
        return any(
            (other.type, other.namespace, other.name) == place and is_newer(other.version, record.version)
            for other in others
        )

    def _compare(self, node: str, record: ObjectSyncRecord, item: IndexedObject, now: float) -> Iterator[OutOfSync]:
        if _is_in_sync(record, item):
            if record.version != item.version:
                record.version = item.version
                self._schedule(node, record.uid, now + STATUS_DELAY)
        elif _push_due(record, item.version, now) and (
            is_newer(item.relevant_version, record.version) or now - item.at >= STATUS_SETTLE_SECONDS
        ):
            yield OutOfSync(record, item)

    # --- what is written down -----------------------------------------------------------------------------------------

    def take_due(self, now: float, most: int) -> list[ObjectSyncWrite]:
        """The writes that are due; each is returned once, `on_write_succeeded` or `on_write_failed` has to follow."""
        ready = [key for key, due_at in self._due.items() if due_at <= now and key not in self._in_flight][:most]
        writes = []
        for node, uid in ready:
            del self._due[node, uid]
            deleted = self._gone.pop((node, uid), None)
            record = self._records.get(node, {}).get(uid)
            if record is not None:
                if record.stored_version != record.version:
                    writes.append(_write(node, record, record.version))
            elif deleted is not None and deleted.stored_version is not None:
                writes.append(_write(node, deleted, None))
        self._in_flight.update({(write.node, write.uid): write for write in writes})
        return writes

    def on_write_succeeded(self, write: ObjectSyncWrite) -> None:
        """A write has succeeded."""
        self._in_flight.pop((write.node, write.uid), None)
        record = self._records.get(write.node, {}).get(write.uid)
        if record is not None:
            record.stored_version = write.version

    def on_write_failed(self, write: ObjectSyncWrite, now: float, pause: float) -> None:
        """A write has failed, or its outcome is unknown: due again after a pause."""
        self._in_flight.pop((write.node, write.uid), None)
        if write.version is None and write.uid not in self._records.get(write.node, {}):
            deleted = ObjectSyncRecord(write.type, write.namespace, write.name, write.uid, stored_version=NO_VERSION)
            self._gone[write.node, write.uid] = deleted
        self._schedule(write.node, write.uid, now + pause)

    def requeue_in_flight(self, now: float) -> None:
        """After a crash: the writes in flight are due again."""
        for write in list(self._in_flight.values()):
            self.on_write_failed(write, now, CREATE_DELAY)

    def next_due(self) -> float | None:
        """When `take_due` has something, None for never (or not before what is under way has come back)."""
        return min((due_at for key, due_at in self._due.items() if key not in self._in_flight), default=None)

    def _record(self, node: str, record: ObjectSyncRecord, now: float, delay: float = CREATE_DELAY) -> ObjectSyncRecord:
        records = self._records.setdefault(node, {})
        tracked = records.get(record.uid)
        if tracked is None:
            tracked = ObjectSyncRecord(record.type, record.namespace, record.name, record.uid)
            deleted = self._gone.pop((node, record.uid), None)
            tracked.stored_version = deleted.stored_version if deleted is not None else None
            records[record.uid] = tracked
            self._schedule(node, record.uid, now + delay)
        return tracked

    def _schedule(self, node: str, uid: str, due_at: float) -> None:
        self._due[node, uid] = min(due_at, self._due.get((node, uid), due_at))


def _is_in_sync(record: ObjectSyncRecord, item: IndexedObject) -> bool:
    """Whether the node has all of the object that concerns it."""
    if is_newer(item.relevant_version, record.version):
        return False
    if not BY_NAME[item.type].status_matters:
        return True
    return not is_newer(item.version, record.version) or not is_newer(item.version, record.delivered_version)


def _push_due(record: ObjectSyncRecord, version: str, now: float) -> bool:
    return record.pushed_version != version or now - record.pushed_at >= REPUSH_SECONDS


def _write(node: str, record: ObjectSyncRecord, version: str | None) -> ObjectSyncWrite:
    exists = record.stored_version is not None
    return ObjectSyncWrite(node, record.uid, record.type, record.namespace, record.name, version, exists)


def is_newer(version: str, than: str) -> bool:
    """Whether one version is newer than another; one that is no number is newer than any other."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
