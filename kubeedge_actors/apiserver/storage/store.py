"""All collections, one revision counter, and what waits to be committed. Used by one thread (the server's loop)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from ...errors import StoreCorrupt
from ..errors import Json
from .collection import Collection
from .database import Database, Row
from .entry import Entry, WatchCacheEvent, labels_of

FieldsOf = Callable[[str, Json], Mapping[str, str]]


class Store:
    """The object store of the server.

    `fields_of(resource, object)` gives what field selectors of that resource look at. `put` and `remove` apply at
    once and assign the next revision; the caller answers nobody before the change was committed: either by
    `commit` (blocking), or by `take_pending`, a write of the rows elsewhere, and `publish` or `rollback`.
    """

    def __init__(self, database: Database, fields_of: FieldsOf, clock: Callable[[], float] = time.time) -> None:
        self._database, self._fields_of, self._clock = database, fields_of, clock
        self._collections: dict[str, Collection] = {}
        self._pending: list[Row] = []
        self._applied: list[Collection] = []
        self._dependents: dict[str, set[tuple[str, str, str]]] = {}
        self.revision = database.revision()
        self.committed = self._origin = self.revision
        self.on_publish: Callable[[Collection], None] = _nobody
        self.on_pending: Callable[[], None] = _nothing
        self._load()

    def _load(self) -> None:
        for row in self._database.rows():
            try:
                body: Json = msgspec.json.decode(row.body or b"")
                entry = self._entry(row.resource, body, row.revision, row.body or b"", row.managed_fields)
            except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
                raise StoreCorrupt(f"{row.resource} {row.namespace}/{row.name} cannot be read: {error}") from error
            self.collection(row.resource).set_current(entry)
            self._index(row.resource, None, entry)

    def collection(self, resource: str) -> Collection:
        """The objects of one resource (`pods`, `apps/deployments`)."""
        collection = self._collections.get(resource)
        if collection is None:
            collection = self._collections[resource] = Collection(resource, self._origin)
        return collection

    def get(self, resource: str, namespace: str, name: str) -> Entry | None:
        """The current version of one object."""
        return self.collection(resource).get(namespace, name)

    def put(self, resource: str, body: Json, managed_fields: bytes | None = None) -> WatchCacheEvent:
        """Creates or replaces the object that `body` names, and sets its resourceVersion."""
        meta = body["metadata"]
        old = self.get(resource, meta.get("namespace", ""), meta["name"])
        revision = self._next(meta)
        data = msgspec.json.encode(body)
        entry = self._entry(resource, body, revision, data, managed_fields)
        row = Row(resource, entry.namespace, entry.name, revision, data, managed_fields)
        return self._apply(resource, WatchCacheEvent(revision, self._clock(), old, entry), row)

    def remove(self, resource: str, entry: Entry) -> WatchCacheEvent:
        """Removes an object; the event carries its last state with the revision of the removal."""
        body = entry.object()
        revision = self._next(body["metadata"])
        last = self._entry(resource, body, revision, msgspec.json.encode(body), None)
        row = Row(resource, entry.namespace, entry.name, revision, None)
        return self._apply(resource, WatchCacheEvent(revision, self._clock(), entry, last, removed=True), row)

    def dependents(self, uid: str) -> list[tuple[str, Entry]]:
        """(resource, entry) of every object that names `uid` as an owner."""
        entries = []
        for resource, namespace, name in sorted(self._dependents.get(uid, ())):
            entry = self.get(resource, namespace, name)
            if entry is not None:
                entries.append((resource, entry))
        return entries

    def resources(self) -> list[str]:
        """Resources that have, or had, objects."""
        return list(self._collections)

    def _next(self, meta: Json) -> int:
        self.revision += 1
        meta["resourceVersion"] = str(self.revision)
        return self.revision

    def _entry(self, resource: str, body: Json, revision: int, data: bytes, managed_fields: bytes | None) -> Entry:
        meta = body["metadata"]
        owners = meta.get("ownerReferences")
        return Entry(
            meta.get("namespace", ""),
            meta["name"],
            meta.get("uid", ""),
            revision,
            data,
            labels_of(body),
            self._fields_of(resource, body),
            tuple(dict.fromkeys(owner["uid"] for owner in owners)) if owners else (),
            managed_fields,
        )

    def _apply(self, resource: str, event: WatchCacheEvent, row: Row) -> WatchCacheEvent:
        collection = self.collection(resource)
        collection.apply(event)
        self._index(resource, event.old, None if event.removed else event.new)
        self._applied.append(collection)
        self._pending.append(row)
        if len(self._pending) == 1:
            self.on_pending()
        return event

    def _index(self, resource: str, old: Entry | None, new: Entry | None) -> None:
        before, after = old.owner_uids if old else (), new.owner_uids if new else ()
        entry = new or old
        if before == after or entry is None:
            return
        key = (resource, entry.namespace, entry.name)
        for uid in before:
            self._dependents[uid].discard(key)
            if not self._dependents[uid]:
                del self._dependents[uid]
        for uid in after:
            self._dependents.setdefault(uid, set()).add(key)

    def is_committed(self) -> bool:
        """Whether everything applied is on disk."""
        return not self._applied

    def take_pending(self) -> tuple[list[Row], int]:
        """The rows to write now, and their revision; later changes go into the next take."""
        rows, self._pending = self._pending, []
        return rows, self.revision

    def publish(self, rows: int, revision: int) -> None:
        """The `rows` oldest changes, up to `revision`, are on disk: readers may see them."""
        self.committed = revision
        changed = dict.fromkeys(self._applied[:rows])
        del self._applied[:rows]
        for collection in changed:
            collection.publish(revision)
            self.on_publish(collection)

    def rollback(self) -> None:
        """A write failed: every change that is not on disk is taken back, the newest first."""
        for collection in reversed(self._applied):
            event = collection.undo()
            self._index(collection.resource, None if event.removed else event.new, event.old)
        self._applied.clear()
        self._pending = []

    def commit(self) -> None:
        """Writes and publishes everything that waits, in the calling thread."""
        rows, revision = self.take_pending()
        if rows:
            try:
                self._database.write(rows, revision)
            except BaseException:
                self.rollback()
                raise
            self.publish(len(rows), revision)

    def trim(self) -> None:
        """Forgets history that is too old."""
        now = self._clock()
        for collection in self._collections.values():
            collection.trim(now)


def _nobody(collection: Collection) -> None:
    """Nobody waits for events."""


def _nothing() -> None:
    """Nobody commits by itself."""
