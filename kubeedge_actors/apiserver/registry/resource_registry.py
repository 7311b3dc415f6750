"""Which resources are served now: the built-in ones and those of the stored CustomResourceDefinitions."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import Json
from .builtin import BUILT_IN, Resource, selectable_fields

GroupVersion = tuple[str, str]


class ResourceRegistry:
    """Look-up of resources. `version` grows with every change, so that discovery can be cached."""

    def __init__(self, built_in: tuple[Resource, ...] = BUILT_IN) -> None:
        self._built_in = built_in
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self.version = 0
        self._rebuild()

    def _rebuild(self) -> None:
        self._table: dict[GroupVersion, dict[str, Resource]] = {}
        self._by_key: dict[str, Resource] = {}
        for resource in self._built_in:
            self._add(resource)
        for resources in self._custom.values():
            for resource in resources:
                self._add(resource)
        self.version += 1

    def _add(self, resource: Resource) -> None:
        # The first one stays: nobody can define a built-in resource anew.
        self._table.setdefault((resource.group, resource.version), {}).setdefault(resource.plural, resource)
        self._by_key.setdefault(resource.key, resource)

    def serve(self, definition: str, resources: tuple[Resource, ...]) -> None:
        """Serves the versions of one definition, in the place of what it said before; none: serves it no longer."""
        if self._custom.get(definition, ()) != resources:
            self._custom[definition] = resources
            self._rebuild()

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource of a path."""
        return self._table.get((group, version), {}).get(plural)

    def of_key(self, key: str) -> Resource | None:
        """The resource of a collection; of several versions the first."""
        return self._by_key.get(key)

    def of_kind(self, group: str, kind: str) -> Resource | None:
        """The resource of a kind; of several versions the first."""
        for (table_group, _), resources in self._table.items():
            if table_group == group:
                for resource in resources.values():
                    if resource.kind == kind and resource.stored and "list" in resource.verbs:
                        return resource
        return None

    def group_versions(self) -> list[GroupVersion]:
        """Every group version, in the order of discovery."""
        return sorted(self._table)

    def in_version(self, group: str, version: str) -> list[Resource]:
        """The resources of a group version, by plural."""
        table = self._table.get((group, version), {})
        return [table[plural] for plural in sorted(table)]

    def stored_resources(self) -> list[Resource]:
        """One resource for every collection."""
        return [resource for resource in self._by_key.values() if resource.stored and "list" in resource.verbs]

    def selectable_fields(self, key: str, body: Json) -> Mapping[str, str]:
        """What field selectors of a collection look at."""
        resource = self._by_key.get(key)
        return selectable_fields(resource, body) if resource is not None else {}
