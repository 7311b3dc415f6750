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


def all_resource_kinds(stored: Iterable[ResourceKind]) -> dict[tuple[str, str, str], ResourceKind]:
    """All resources by group, version and plural."""
    kinds = {(kind.group, kind.version, kind.plural): kind for kind in stored}
    for row in OBJECT_TYPES:
        if row.queryable:
            kinds.setdefault((row.kind.group, row.kind.version, row.kind.plural), row.kind)
    return kinds


def api_group_list(resources: Iterable[ResourceKind]) -> Json:
    """/apis."""
    versions: dict[str, set[str]] = {}
    for resource in resources:
        if resource.group:
            versions.setdefault(resource.group, set()).add(resource.version)
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [api_group(*group_versions) for group_versions in sorted(versions.items())],
    }


def api_group(name: str, versions: Iterable[str]) -> Json:
    """/apis/<group>."""
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in sorted(versions, reverse=True)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def api_versions() -> Json:
    """/api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def api_resource_list(info: RequestInfo, all_known: Iterable[ResourceKind]) -> Json | None:
    """/api/<version> and /apis/<group>/<version>; None when there is no such group."""
    listed = [
        {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": VERBS,
            **({"shortNames": SHORT_NAMES[kind.plural]} if kind.plural in SHORT_NAMES else {}),
        }
        for kind in all_known
        if (kind.group, kind.version) == (info.group, info.version)
    ]
    if not listed:
        return None
    listed.sort(key=lambda resource: str(resource["name"]))
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": info.api_version, "resources": listed}
