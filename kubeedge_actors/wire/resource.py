"""The path grammar of `route.resource`: the only place that takes a path apart or puts one together.

    <namespace>/<type>[/<name>]              an object, or all of a type; namespace `null` means cluster-scoped
    device/<namespace>/<name>/<about>        a device; about is twin/edge_updated, state/update or twin/cloud_updated
    device/<id>/<about>                      the same in v0.2
    membership  membership/detail  k8s/ca.crt  null  watchapp/sync  node  twin  outbox     they name no object
    node/<node>/<any of the above>           inside a genuine cloudcore; its hub takes the first two segments off

A path is read by whole segments and by their number, never by what it contains: a pod called `membership-api` is a pod.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kubeedge_actors.errors import ResourceError
from kubeedge_actors.wire import names

FIXED: Final = frozenset(
    {
        names.MEMBERSHIP,
        names.PATH_MEMBERSHIP_DETAIL,
        names.PATH_CLUSTER_CA,
        names.PATH_APPLICATION,
        names.PATH_WATCH_SYNC,
        names.PATH_CONNECTION,
        names.PATH_TWIN,
        names.PATH_OUTBOX,
        names.NODE,
    }
)
"""Paths that name no object and no device."""

_ABOUT_DEVICE: Final = frozenset({names.PATH_TWIN_REPORTED, names.PATH_STATE_REPORTED, names.TWIN_CLOUD_UPDATED})


class Resource(NamedTuple):
    """An object of the cluster, or (without a name) all objects of a type in a namespace."""

    namespace: str
    type: str
    name: str = ""

    @property
    def path(self) -> str:
        """The path as it stands on the wire.

        An empty namespace is written `null`. Errors: ResourceError for an impossible segment.
        """
        return object_path(self.type, self.namespace, self.name)

    @property
    def cluster_scoped(self) -> bool:
        """Whether the object has no namespace."""
        return self.namespace in ("", names.CLUSTER_SCOPE)


class DeviceResource(NamedTuple):
    """What is said about a device. `device` is "<namespace>/<name>" (v0.2: one word)."""

    device: str
    about: str

    @property
    def path(self) -> str:
        """The path as it stands on the wire. Errors: ResourceError when the device is no device id."""
        return device_path(self.device, self.about)


def find(path: str) -> Resource | None:
    """The object that a path names, or None when it names something else."""
    parts = path.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts) or path in FIXED:
        return None
    return Resource(*parts)


def find_device(path: str) -> DeviceResource | None:
    """The device that a path is about, or None when it is about something else."""
    parts = path.split("/")
    if not 4 <= len(parts) <= 5 or parts[0] != names.DEVICE or not all(parts):
        return None
    about = f"{parts[-2]}/{parts[-1]}"
    return DeviceResource("/".join(parts[1:-2]), about) if about in _ABOUT_DEVICE else None


def parse(path: str) -> Resource:
    """The object that a path names. Errors: ResourceError when it names something else."""
    found = find(path)
    if found is None:
        raise ResourceError(f"not the path of an object: {path[:200]!r}")
    return found


def parse_device(path: str) -> DeviceResource:
    """The device that a path is about. Errors: ResourceError when it is about something else."""
    found = find_device(path)
    if found is None:
        raise ResourceError(f"not the path of a device: {path[:200]!r}")
    return found


def object_path(type: str, namespace: str, name: str = "") -> str:
    """`<namespace>/<type>[/<name>]`; an empty namespace becomes `null`.

    Errors: ResourceError for an impossible segment.
    """
    path = f"{namespace or names.CLUSTER_SCOPE}/{type}/{name}" if name else f"{namespace or names.CLUSTER_SCOPE}/{type}"
    if not type or path.count("/") != (2 if name else 1) or path in FIXED:
        raise ResourceError(f"no path for type {type!r}, namespace {namespace!r}, name {name!r}")
    return path


def device_path(device: str, about: str) -> str:
    """`device/<device>/<about>`.

    Errors: ResourceError when `device` is no device id or nothing is said about devices so.
    """
    path = f"{names.DEVICE}/{device}/{about}"
    if find_device(path) != (device, about):
        raise ResourceError(f"no path for device {device!r}, about {about!r}")
    return path


def add_node(node: str, path: str) -> str:
    """The path as a genuine cloudcore uses it inside: with `node/<node>/` in front.

    Errors: ResourceError for an impossible node.
    """
    if not node or "/" in node:
        raise ResourceError(f"not a node name: {node!r}")
    return f"{names.NODE}/{node}/{path}"


def remove_node(path: str) -> tuple[str, str]:
    """Node and wire path of a path with `node/<node>/` in front. Errors: ResourceError when there is no such prefix."""
    head, _, rest = path.partition("/")
    node, _, wire = rest.partition("/")
    if head != names.NODE or not node or not wire:
        raise ResourceError(f"no node in front of: {path[:200]!r}")
    return node, wire
