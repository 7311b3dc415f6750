"""Garbage collector: deletes objects that have lost all owners; carries out foreground and orphan deletion."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from ..errors import Json
from ..handlers.delete import BACKGROUND, FOREGROUND, ORPHAN, Deleter
from ..registry.builtin import Resource
from ..registry.object_meta import is_removable
from ..registry.resource_registry import ResourceRegistry
from ..storage.collection import Collection
from ..storage.entry import Entry, WatchCacheEvent
from ..storage.store import Store

BATCH = 50
DELETING = b'"deletionTimestamp"'


class GarbageCollector:
    """Follows all events; `later` runs a function in a further turn of the loop."""

    def __init__(
        self, store: Store, registry: ResourceRegistry, remover: Deleter, later: Callable[[Callable[[], None]], object]
    ) -> None:
        self._store, self._registry, self._remover, self._later = (store, registry, remover, later)
        self._jobs: deque[Callable[[], None]] = deque()
        self._positions: dict[str, int] = {}

    def collect_at_start(self) -> None:
        """At start: collect what lost its owners while the server was down, and finish half-done deletions."""
        for key in self._store.resources():
            for entry in self._store.collection(key).scan():
                if entry.owner_uids:
                    self._add(partial(self._check, key, entry))
                if DELETING in entry.data:
                    self._carry_out(key, entry)

    def on_published(self, store: Store, collection: Collection) -> None:
        """Looks at the new events of a collection."""
        position = self._positions.get(collection.resource, collection.dropped)
        events = collection.read(max(position, collection.dropped)) or []
        self._positions[collection.resource] = max(position, collection.dropped) + len(events)
        for event in events:
            self._look(collection.resource, event)

    def _look(self, key: str, event: WatchCacheEvent) -> None:
        entry = event.new
        if event.removed:
            if self._store.dependents(entry.uid):
                self._add(partial(self._owner_gone, entry.uid))
            for uid in entry.owner_uids:
                self._add(partial(self._dependent_gone, uid, key, entry))
            return
        if event.old is None and entry.owner_uids:
            self._add(partial(self._check, key, entry))
        if DELETING in entry.data:
            self._carry_out(key, entry)

    def _add(self, job: Callable[[], None]) -> None:
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._later(self._work)

    def _work(self) -> None:
        for _ in range(min(BATCH, len(self._jobs))):
            self._jobs[0]()
            self._jobs.popleft()
        if self._jobs:
            self._later(self._work)

    def _owner_gone(self, uid: str) -> None:
        for key, entry in self._store.dependents(uid):
            self._add(partial(self._check, key, entry))

    def _check(self, key: str, entry: Entry) -> None:
        """Deletes an object whose owners are all gone."""
        resource = self._registry.of_key(key)
        current = self._store.get(key, entry.namespace, entry.name)
        if resource is None or current is None or current.uid != entry.uid or not current.owner_uids:
            return
        owners = current.object()["metadata"].get("ownerReferences", ())
        if not any(self._unknown(owner) or self._owner(owner, current) for owner in owners):
            self._remover.begin_deletion(resource, current, BACKGROUND)

    def _unknown(self, reference: Json) -> bool:
        """Whether an owner is of a kind that is not served: it may live elsewhere, so it counts as being there."""
        group = reference.get("apiVersion", "").rpartition("/")[0]
        return self._registry.of_kind(group, reference.get("kind", "")) is None

    def _owner(self, reference: Json, dependent: Entry) -> tuple[Resource, Entry] | None:
        """The owner that a reference names, if it exists."""
        group = reference.get("apiVersion", "").rpartition("/")[0]
        resource = self._registry.of_kind(group, reference.get("kind", ""))
        if resource is None:
            return None
        namespace = dependent.namespace if resource.namespaced else ""
        entry = self._store.get(resource.key, namespace, reference.get("name", ""))
        return (resource, entry) if entry is not None and entry.uid == reference.get("uid") else None

    def _carry_out(self, key: str, entry: Entry) -> None:
        finalizers = entry.object()["metadata"].get("finalizers", ())
        if ORPHAN in finalizers:
            self._add(partial(self._orphan, key, entry))
        elif FOREGROUND in finalizers:
            self._add(partial(self._foreground, key, entry))

    def _orphan(self, key: str, entry: Entry) -> None:
        for dependent_key, dependent in self._store.dependents(entry.uid):
            body = dependent.object()
            owners = [owner for owner in body["metadata"]["ownerReferences"] if owner["uid"] != entry.uid]
            body["metadata"]["ownerReferences"] = owners
            if not owners:
                del body["metadata"]["ownerReferences"]
            self._store.put(dependent_key, body, dependent.managed_fields)
        self._release(key, entry, ORPHAN)

    def _foreground(self, key: str, entry: Entry) -> None:
        for dependent_key, dependent in self._store.dependents(entry.uid):
            resource = self._registry.of_key(dependent_key)
            if resource is not None and DELETING not in dependent.data:
                self._remover.begin_deletion(resource, dependent, BACKGROUND)
        if not self._store.dependents(entry.uid):
            self._release(key, entry, FOREGROUND)

    def _dependent_gone(self, uid: str, key: str, dependent: Entry) -> None:
        """An owner that waits for its dependents may go now."""
        for reference in dependent.object()["metadata"].get("ownerReferences", ()):
            owner = self._owner(reference, dependent) if reference.get("uid") == uid else None
            if owner is not None and DELETING in owner[1].data:
                self._carry_out(owner[0].key, owner[1])

    def _release(self, key: str, entry: Entry, finalizer: str) -> None:
        current = self._store.get(key, entry.namespace, entry.name)
        if current is None or current.uid != entry.uid:
            return
        body = current.object()
        finalizers = [name for name in body["metadata"].get("finalizers", ()) if name != finalizer]
        body["metadata"].pop("finalizers", None)
        if finalizers:
            body["metadata"]["finalizers"] = finalizers
        event = self._store.put(key, body, current.managed_fields)
        if is_removable(body):
            self._store.remove(key, event.new)
