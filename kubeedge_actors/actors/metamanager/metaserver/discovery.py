"""Discovery: groups, versions and resources of the read API. Pure.

There are those that a cloud pushes or answers, known beforehand so that an empty list is a list, and those that the store holds.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.kubernetes.object_types import OBJECT_TYPES, ResourceKind
from kubeedge_actors.wire.messages import Json

VERBS = ["get", "list", "watch"]
SHORT_NAMES = {"pods": ["po"], "nodes": ["no"], "configmaps": ["cm"], "persistentvolumes": ["pv"]}


def api_resources(stored: Iterable[ResourceKind]) -> dict[tuple[str, str, str], ResourceKind]:
    """All resources by group, version and plural."""
    found = {(one.group, one.version, one.plural): one for one in stored}
    for row in OBJECT_TYPES:
        if row.queryable:
            found.setdefault((row.kind.group, row.kind.version, row.kind.plural), row.kind)
    return found


def groups(resources: Iterable[ResourceKind]) -> Json:
    """/apis."""
    versions: dict[str, set[str]] = {}
    for one in resources:
        if one.group:
            versions.setdefault(one.group, set()).add(one.version)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(*each) for each in sorted(versions.items())]}


def group(name: str, versions: Iterable[str]) -> Json:
    """/apis/<group>."""
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in sorted(versions, reverse=True)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def versions() -> Json:
    """/api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def resources(asked: RequestInfo, all_known: Iterable[ResourceKind]) -> Json | None:
    """/api/<version> and /apis/<group>/<version>; None when there is no such group."""
    found = [
        {
            "name": one.plural,
            "singularName": one.kind.lower(),
            "namespaced": one.namespaced,
            "kind": one.kind,
            "verbs": VERBS,
            **({"shortNames": SHORT_NAMES[one.plural]} if one.plural in SHORT_NAMES else {}),
        }
        for one in all_known
        if (one.group, one.version) == (asked.group, asked.version)
    ]
    if not found:
        return None
    found.sort(key=lambda each: str(each["name"]))
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": asked.api_version, "resources": found}
