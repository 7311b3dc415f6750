"""Establishing controller: keeps the registry in step with the stored CustomResourceDefinitions."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..crd import bundled, definition
from ..crd.structural import StructuralSchema
from ..errors import Json
from ..printers import core
from ..printers.by_kind import PRINTERS
from ..printers.columns import TablePrinter
from ..printers.custom import custom_printer
from ..registry.builtin import Resource
from ..registry.object_meta import prepare_create
from ..registry.resource_registry import ResourceRegistry
from ..storage.collection import Collection
from ..storage.store import Store

Place = tuple[str, str, str]


class CrdController:
    """Serves the resources of stored definitions; gives the schema and the table of each."""

    def __init__(self, registry: ResourceRegistry, clock: Callable[[], float] = time.time) -> None:
        self._registry, self._clock = registry, clock
        self._known: dict[str, tuple[int, str]] = {}
        self._schemas: dict[str, dict[Place, StructuralSchema]] = {}
        self._tables: dict[str, dict[Place, TablePrinter]] = {}
        self._schema_at: dict[Place, StructuralSchema] = {}
        self._table_at: dict[Place, TablePrinter] = {}

    def structural_schema(self, resource: Resource) -> StructuralSchema | None:
        """The schema of a custom resource."""
        return self._schema_at.get(group_version_resource(resource))

    def table_printer(self, resource: Resource) -> TablePrinter:
        """The table of a resource."""
        if not resource.is_custom:
            return PRINTERS.get(resource.key, core.DEFAULT_PRINTER)
        return self._table_at.get(group_version_resource(resource), core.CUSTOM_RESOURCE_PRINTER)

    def needs_conversion(self, resource: Resource) -> bool:
        """Whether objects may be stored in another version than that of `resource`: the resource has several."""
        return resource.is_custom and len(self._schemas.get(f"{resource.plural}.{resource.group}", ())) > 1

    def install_bundled(self, store: Store) -> None:
        """Stores the definitions that come with the program, and serves all that are stored."""
        resource = self._registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        for body in bundled.definitions():
            old = store.get(definition.KEY, "", body["metadata"]["name"])
            definition.default_definition(body)
            if old is None and resource is not None:
                definition.prepare_definition(body)
                store.put(definition.KEY, prepare_create(resource, body, "", self._clock()))
            elif old is not None and (stored := old.object())["spec"] != body["spec"]:
                store.put(definition.KEY, {**stored, "spec": body["spec"]}, old.managed_fields)
        self.refresh(store)

    def on_published(self, store: Store, collection: Collection) -> None:
        """Follows changes of the definitions."""
        if collection.resource == definition.KEY:
            self.refresh(store)

    def refresh(self, store: Store) -> None:
        """Serves what the stored definitions say now, and marks new ones as established."""
        entries = {entry.name: entry for entry in store.collection(definition.KEY).scan()}
        for name in [name for name in self._known if name not in entries]:
            self._withdraw(store, name)
        for name, entry in entries.items():
            if self._known.get(name, (0, ""))[0] != entry.revision:
                self._serve(store, name, entry.revision, entry.object())
        self._schema_at = {at: schema for versions in self._schemas.values() for at, schema in versions.items()}
        self._table_at = {at: table for versions in self._tables.values() for at, table in versions.items()}

    def _serve(self, store: Store, name: str, revision: int, body: Json) -> None:
        resources = definition.served_resources(body)
        key = resources[0].key if resources else ""
        self._known[name] = (revision, key)
        self._schemas[name] = definition.version_schemas(body)
        self._tables[name] = {at: custom_printer(printed) for at, printed in definition.printer_columns(body).items()}
        self._registry.serve(name, resources)
        if not (body.get("status") or {}).get("conditions"):
            event = store.put(definition.KEY, {**body, "status": definition.established_status(body, self._clock())})
            self._known[name] = (event.revision, key)

    def _withdraw(self, store: Store, name: str) -> None:
        _, key = self._known.pop(name)
        for entry in store.collection(key).scan() if key else ():
            store.remove(key, entry)
        self._registry.serve(name, ())
        del self._schemas[name], self._tables[name]


def group_version_resource(resource: Resource) -> Place:
    """Where a resource is served."""
    return resource.group, resource.version, resource.plural
