"""Empties namespaces that are being deleted, and makes those that every cluster has."""

from __future__ import annotations

from collections.abc import Callable

from ..codec.decoder import ObjectDecoder
from ..handlers.delete import BACKGROUND, Deleter
from ..registry.object_meta import is_removable, prepare_create
from ..registry.resource_registry import ResourceRegistry
from ..storage.collection import Collection
from ..storage.entry import Entry
from ..storage.store import Store

ALWAYS = ("default", "kube-node-lease", "kube-public", "kube-system")
BATCH = 100
KEY = "namespaces"
PHASE = "status.phase"


class NamespaceController:
    """Follows namespaces; `later` runs a function in a further turn of the loop."""

    def __init__(
        self, store: Store, registry: ResourceRegistry, remover: Deleter, later: Callable[[Callable[[], None]], object]
    ) -> None:
        self._store, self._registry, self._remover, self._later = (store, registry, remover, later)
        self._going: set[str] = set()
        self._waiting: set[str] = set()

    def create_defaults(self, intake: ObjectDecoder, now: float) -> None:
        """Creates the namespaces that every cluster has."""
        resource = self._registry.find("", "v1", KEY)
        for name in ALWAYS:
            if resource is not None and self._store.get(KEY, "", name) is None:
                body = prepare_create(resource, {"metadata": {"name": name}}, "", now)
                intake.strategy(resource).prepare(body)
                intake.default(body, resource)
                self._store.put(KEY, body)
        self.enqueue_terminating()

    def on_published(self, store: Store, collection: Collection) -> None:
        """Continue to empty namespaces after a change."""
        if collection.resource == KEY:
            self.enqueue_terminating()
        elif self._going:
            for name in self._going:
                self._soon(name)

    def enqueue_terminating(self) -> None:
        """Finds the namespaces that are to be emptied."""
        entries = self._store.collection(KEY).scan()
        self._going = {entry.name for entry in entries if entry.fields.get(PHASE) == "Terminating"}
        for name in self._going:
            self._soon(name)

    def _soon(self, name: str) -> None:
        if name not in self._waiting:
            self._waiting.add(name)
            self._later(lambda: self._empty(name))

    def _empty(self, name: str) -> None:
        self._waiting.discard(name)
        home = self._store.get(KEY, "", name)
        if home is None or home.fields.get(PHASE) != "Terminating":
            return
        removed = remaining = 0
        for resource in self._registry.stored_resources():
            if not resource.namespaced:
                continue
            for entry in self._store.collection(resource.key).scan(name):
                remaining += 1
                if b'"deletionTimestamp"' not in entry.data and removed < BATCH:
                    self._remover.begin_deletion(resource, entry, BACKGROUND)
                    removed += 1
        if removed:
            self._soon(name)
        elif not remaining:
            self._finish(home)

    def _finish(self, home: Entry) -> None:
        body = home.object()
        if body.get("spec", {}).pop("finalizers", None) is None:
            return
        event = self._store.put(KEY, body, home.managed_fields)
        if is_removable(body):
            self._store.remove(KEY, event.new)
