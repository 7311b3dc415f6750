"""Reads from the store of the node: objects, lists, discovery. Any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kubeedge_actors import __version__
from kubeedge_actors.actors.metamanager.metaserver import discovery
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import Reader
from kubeedge_actors.drivers.store.base import MetaStore, ObjectRow
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Json

Matching = Callable[[str, str], Callable[[Json], bool]]
"""Label selector, field selector -> the test of an object; ClusterError for what is no selector."""
GIT_VERSION = "v1.32.10-kubeedge-v"


class LocalReads:
    """Answers from the `store`. Errors: StoreError."""

    def __init__(self, store: MetaStore, matching: Matching) -> None:
        self._store, self._matching = store, matching

    def kind(self, info: RequestInfo) -> ResourceKind | None:
        """The kind of a resource; None for one that is not known here."""
        return self._kinds().get((info.group, info.version, info.plural))

    def _kinds(self) -> dict[tuple[str, str, str], ResourceKind]:
        return discovery.all_resource_kinds(_kind_of(row) for row in self._store.resources())

    def discover(self, path: str, info: RequestInfo | None) -> Json | None:
        """The document of a path of discovery; None for an unknown one."""
        if info is not None:
            return discovery.api_resource_list(info, self._kinds().values())
        if path == "/version":
            major, minor = GIT_VERSION[1:].split(".")[:2]
            return {"major": major, "minor": minor, "gitVersion": f"{GIT_VERSION}{__version__}", "platform": "linux"}
        if path == "/api":
            return discovery.api_versions()
        listed = discovery.api_group_list(self._kinds().values())
        if path == "/apis":
            return listed
        groups = [group for group in listed["groups"] if path == f"/apis/{group['name']}"]
        return {"kind": "APIGroup", "apiVersion": "v1", **groups[0]} if groups else None

    def get(self, info: RequestInfo) -> Json | None:
        """An object; None when it is not here."""
        row, kind = self._store.object(info.key(info.namespace or constants.CLUSTER_SCOPE)), self.kind(info)
        return _with_type_meta(row, kind) if row is not None and kind is not None else None

    def list(self, info: RequestInfo, query: Mapping[str, str], reader: Reader) -> tuple[list[Json], str]:
        """What of a collection may be read, and its version."""
        kind = self.kind(info)
        matches = self._matching(query.get("labelSelector", ""), query.get("fieldSelector", ""))
        found = self._store.objects(info.resource, info.namespace) if kind is not None else []
        rows = [row for row in found if reader.may_read(info.plural, _namespace(row), row.name)]
        rows = [row for row in rows if info.name in ("", row.name)]
        version = str(max((row.resource_version for row in rows), default=0))
        return [object for row in rows if kind and matches(object := _with_type_meta(row, kind))], version

    def versions(self, info: RequestInfo, selectors: Mapping[str, str]) -> dict[str, int]:
        """Which rows there are of a collection, with the versions of their objects."""
        matches = self._matching(selectors.get("labelSelector", ""), selectors.get("fieldSelector", ""))
        rows = [row for row in self._store.objects(info.resource, info.namespace) if info.name in ("", row.name)]
        return {row.key: row.resource_version for row in rows if matches(msgspec.json.decode(row.value))}


def _namespace(row: ObjectRow) -> str:
    return "" if row.namespace == constants.CLUSTER_SCOPE else row.namespace


def _with_type_meta(row: ObjectRow, kind: ResourceKind) -> Json:
    """The object in a row, with kind and apiVersion."""
    object: Json = msgspec.json.decode(row.value)
    return {"kind": kind.kind, "apiVersion": kind.api_version, **object}


def _kind_of(row: ObjectRow) -> ResourceKind:
    group_version, _, plural = row.group_version_resource.partition(", Resource=")
    group, _, version = group_version.rpartition("/")
    kind = str(msgspec.json.decode(row.value).get("kind") or plural)
    return ResourceKind(group, version, plural, kind, row.namespace != constants.CLUSTER_SCOPE)
