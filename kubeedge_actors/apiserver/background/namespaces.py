"""Empties namespaces that are being deleted, and makes those that every cluster has."""

from __future__ import annotations

from collections.abc import Callable

from ..intake import Intake
from ..objects import created, finished
from ..registry import Registry
from ..removing import BACKGROUND, Remover
from ..storage.collection import Collection
from ..storage.entry import Entry
from ..storage.store import Store

ALWAYS = ("default", "kube-node-lease", "kube-public", "kube-system")
BATCH = 100
KEY = "namespaces"
PHASE = "status.phase"


class Namespaces:
    """Follows namespaces; `later` runs a function in a further turn of the loop."""

    def __init__(
        self, store: Store, registry: Registry, remover: Remover, later: Callable[[Callable[[], None]], object]
    ) -> None:
        self._store, self._registry, self._remover, self._later = (store, registry, remover, later)
        self._going: set[str] = set()
        self._waiting: set[str] = set()

    def make(self, intake: Intake, now: float) -> None:
        """Creates the namespaces that every cluster has."""
        resource = self._registry.find("", "v1", KEY)
        for name in ALWAYS:
            if resource is not None and self._store.get(KEY, "", name) is None:
                body = created(resource, {"metadata": {"name": name}}, "", now)
                intake.behaviour(resource).prepare(body)
                intake.default(body, resource)
                self._store.put(KEY, body)
        self.look()

    def published(self, store: Store, collection: Collection) -> None:
        """Goes on emptying when something has changed."""
        if collection.resource == KEY:
            self.look()
        elif self._going:
            for name in self._going:
                self._soon(name)

    def look(self) -> None:
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
        removed = left = 0
        for resource in self._registry.stored():
            if not resource.namespaced:
                continue
            for entry in self._store.collection(resource.key).scan(name):
                left += 1
                if b'"deletionTimestamp"' not in entry.data and removed < BATCH:
                    self._remover.remove(resource, entry, BACKGROUND)
                    removed += 1
        if removed:
            self._soon(name)
        elif not left:
            self._finish(home)

    def _finish(self, home: Entry) -> None:
        body = home.object()
        if body.get("spec", {}).pop("finalizers", None) is None:
            return
        event = self._store.put(KEY, body, home.owned)
        if finished(body):
            self._store.remove(KEY, event.new)
