"""The path grammar of `route.resource`: the only place that takes a path apart or puts one together.

    <namespace>/<type>[/<name>]              an object, or all of a type; namespace `null` means cluster-scoped
    device/<namespace>/<name>/<about>        a device; about is twin/edge_updated, state/update or twin/cloud_updated
    device/<id>/<about>                      the same in v0.2
    operations.kubeedge.io/v1alpha2/<type>/<job>/node/<node>    a task of a node job
    membership  membership/detail  k8s/ca.crt  null  watchapp/sync  node  twin  outbox     they name no object
    node/<node>/<any of the above>           inside a genuine cloudcore; its hub takes the first two segments off

A path is read by whole segments and by their number, never by what it contains: a pod called `membership-api` is a pod.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from kubeedge_actors.errors import ResourceError
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.beehive import Route

FIXED_PATHS: Final = frozenset(
    {
        constants.MEMBERSHIP,
        constants.PATH_MEMBERSHIP_DETAIL,
        constants.PATH_CLUSTER_CA,
        constants.PATH_APPLICATION,
        constants.PATH_WATCH_SYNC,
        constants.PATH_CONNECTION,
        constants.PATH_TWIN,
        constants.PATH_OUTBOX,
        constants.NODE,
    }
)
"""Paths that name no object and no device."""
_ABOUT_DEVICE: Final = frozenset(
    {constants.PATH_TWIN_REPORTED, constants.PATH_STATE_REPORTED, constants.TWIN_CLOUD_UPDATED}
)


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
        return self.namespace in ("", constants.CLUSTER_SCOPE)


class DeviceResource(NamedTuple):
    """The resource of a message about a device. `device` is "<namespace>/<name>" (v0.2: one word)."""

    device: str
    about: str

    @property
    def path(self) -> str:
        """The path as it stands on the wire. Errors: ResourceError when the device is no device id."""
        return device_path(self.device, self.about)


class NodeTaskResource(NamedTuple):
    """The resource of a message about a node task: the type of the job, its name, the node."""

    job_type: str
    job: str
    task_node: str


Parsed = TypeVar("Parsed", Resource, DeviceResource)
REMEMBERED, MAX_REMEMBERED = 1_024, 256
"""Paths of objects that are not parsed again, and how many characters each may have: one frame has its path looked at four times, and one object goes
to many nodes.
"""


def try_parse(path: str) -> Resource | None:
    """The object that a path names, or None when it names something else."""
    return _parsed_object(path) if len(path) <= MAX_REMEMBERED else _parse_object(path)


def _parse_object(path: str) -> Resource | None:
    parts = path.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts) or path in FIXED_PATHS:
        return None
    return Resource(*parts)


_parsed_object = lru_cache(REMEMBERED)(_parse_object)


def try_parse_device(path: str) -> DeviceResource | None:
    """The device that a path is about, or None when it is about something else."""
    if not path.startswith(constants.DEVICE):
        return None
    parts = path.split("/")
    if not 4 <= len(parts) <= 5 or parts[0] != constants.DEVICE or not all(parts):
        return None
    about = f"{parts[-2]}/{parts[-1]}"
    return DeviceResource("/".join(parts[1:-2]), about) if about in _ABOUT_DEVICE else None


def try_parse_node_task(path: str) -> NodeTaskResource | None:
    """The node task that a path is about, or None when it is about something else."""
    if not path.startswith(constants.PATH_NODE_JOBS):
        return None
    parts = path.removeprefix(constants.PATH_NODE_JOBS).split("/")
    if len(parts) != 5 or parts[0] or parts[3] != constants.NODE or not all(parts[1:]):
        return None
    return NodeTaskResource(parts[1], parts[2], parts[4])


def parse(path: str) -> Resource:
    """The object that a path names. Errors: ResourceError when it names something else."""
    return _require_parsed(try_parse(path), "an object", path)


def parse_device(path: str) -> DeviceResource:
    """The device that a path is about. Errors: ResourceError when it is about something else."""
    return _require_parsed(try_parse_device(path), "a device", path)


def _require_parsed(parsed: Parsed | None, description: str, path: str) -> Parsed:
    if parsed is None:
        raise ResourceError(f"not the path of {description}: {path[:200]!r}")
    return parsed


def object_path(type: str, namespace: str, name: str = "") -> str:
    """`<namespace>/<type>[/<name>]`; an empty namespace becomes `null`.

    Errors: ResourceError for an impossible segment.
    """
    path = (
        f"{namespace or constants.CLUSTER_SCOPE}/{type}/{name}"
        if name
        else f"{namespace or constants.CLUSTER_SCOPE}/{type}"
    )
    if not type or path.count("/") != (2 if name else 1) or path in FIXED_PATHS:
        raise ResourceError(f"no path for type {type!r}, namespace {namespace!r}, name {name!r}")
    return path


def device_path(device: str, about: str) -> str:
    """`device/<device>/<about>`.

    Errors: ResourceError when `device` is no device id or nothing is said about devices so.
    """
    path = f"{constants.DEVICE}/{device}/{about}"
    if try_parse_device(path) != (device, about):
        raise ResourceError(f"no path for device {device!r}, about {about!r}")
    return path


def add_node_prefix(node: str, path: str) -> str:
    """The path as a genuine cloudcore uses it inside: with `node/<node>/` in front.

    Errors: ResourceError for an impossible node.
    """
    if not node or "/" in node:
        raise ResourceError(f"not a node name: {node!r}")
    return f"{constants.NODE}/{node}/{path}"


def split_node_prefix(path: str) -> tuple[str, str]:
    """Node and wire path of a path with `node/<node>/` in front. Errors: ResourceError when there is no such prefix."""
    head, _, rest = path.partition("/")
    node, _, wire = rest.partition("/")
    if head != constants.NODE or not node or not wire:
        raise ResourceError(f"no node in front of: {path[:200]!r}")
    return node, wire


# --- patterns of `route.resource`, as rows of the mapping table have them ---------------------------------------------


Fields = dict[str, Any]
ParsedPath = Resource | DeviceResource | None


class ObjectPathPattern(NamedTuple):
    """The path of an object. `type` empty: any type, kept in the message's field `type`.

    `namespace`: fixed namespace used when encoding; `strict`: decode only that namespace.
    """

    type: str = ""
    namespace: str = ""
    strict: bool = False
    named: bool = True

    @property
    def decode_key(self) -> str:
        """Key of this pattern in the decode table."""
        return self.type

    def path_fields(self, path: str, resource: ParsedPath) -> Fields | None:
        """The fields of the path, or None when it is of another sort."""
        if not isinstance(resource, Resource) or (self.named and not resource.name):
            return None
        if self.strict and resource.namespace != self.namespace:
            return None
        if self.namespace:
            return {"name": resource.name}
        if self.type:
            return {"namespace": resource.namespace, "name": resource.name}
        return {"namespace": resource.namespace, "type": resource.type, "name": resource.name}

    def encode_path(self, message: Any) -> str:
        """The path of a message. Errors: ResourceError when a field is no segment."""
        return object_path(self.type or message.type, self.namespace or message.namespace, message.name)


class DevicePathPattern(NamedTuple):
    """The path of a device; the device id is the message's field `device`."""

    about: str

    @property
    def decode_key(self) -> str:
        """Key of this pattern in the decode table."""
        return self.about

    def path_fields(self, path: str, resource: ParsedPath) -> Fields | None:
        """The fields of the path, or None when it is of another sort."""
        return {"device": resource.device} if isinstance(resource, DeviceResource) else None

    def encode_path(self, message: Any) -> str:
        """The path of a message. Errors: ResourceError when `device` is no device id."""
        return device_path(message.device, self.about)


class ShortDevicePathPattern(NamedTuple):
    """`device/<id>`; the id is the message's field `device`."""

    @property
    def decode_key(self) -> str:
        """Empty: a path of this sort looks like that of an object."""
        return ""

    def path_fields(self, path: str, parsed_path: ParsedPath) -> Fields | None:
        """The field, or None when the path is of another sort."""
        first, _, device = path.partition("/")
        whole = first == constants.DEVICE and device.count("/") <= 1 and all(device.split("/"))
        return {"device": device} if whole else None

    def encode_path(self, message: Any) -> str:
        """The path of a message."""
        return f"{constants.DEVICE}/{message.device}"


class FixedPathPattern(NamedTuple):
    """A path that is the same for every message. `any_path`: the receiver does not look at it, so every path is read."""

    path: str
    any_path: bool = False

    @property
    def decode_key(self) -> str:
        """Key of this pattern in the decode table."""
        return "" if self.any_path else self.path

    def path_fields(self, path: str, parsed_path: ParsedPath) -> Fields | None:
        """No fields: the path says nothing more."""
        return {}

    def encode_path(self, message: Any) -> str:
        """The path."""
        return self.path


class OpaquePathPattern(NamedTuple):
    """A path in free form, such as a topic or a URL; it is the message's field `field`."""

    field: str
    allow_empty: bool = False

    @property
    def decode_key(self) -> str:
        """Empty: every path is of this sort."""
        return ""

    def path_fields(self, path: str, parsed_path: ParsedPath) -> Fields | None:
        """The field, or None for an empty path where one is needed."""
        return {self.field: path} if path or self.allow_empty else None

    def encode_path(self, message: Any) -> str:
        """The field."""
        path: str = getattr(message, self.field)
        return path


class NodeTaskPathPattern(NamedTuple):
    """The path of a node task: the fields `job_type`, `job` and `task_node` of the message."""

    @property
    def decode_key(self) -> str:
        """Empty: it names no object of a node's."""
        return ""

    def path_fields(self, path: str, parsed_path: ParsedPath) -> Fields | None:
        """The fields, or None when the path is of another sort."""
        task = try_parse_node_task(path)
        return None if task is None else task._asdict()

    def encode_path(self, message: Any) -> str:
        """The path of a message. Errors: ResourceError when a field is no segment."""
        path = "/".join((constants.PATH_NODE_JOBS, message.job_type, message.job, constants.NODE, message.task_node))
        if try_parse_node_task(path) is None:
            raise ResourceError(f"not the path of a node task: {path[:200]!r}")
        return path


Path = (
    ObjectPathPattern
    | DevicePathPattern
    | ShortDevicePathPattern
    | FixedPathPattern
    | OpaquePathPattern
    | NodeTaskPathPattern
)


def match_path(path: str) -> tuple[str, ParsedPath]:
    """The decode key of a path, and the Resource that it names.

    The first is a fixed path itself, the type of an object, what is said about a device, or empty when it is nothing of
    these.
    """
    if path in FIXED_PATHS:
        return path, None
    if resource := try_parse(path):
        return resource.type, resource
    device = try_parse_device(path)
    return (device.about, device) if device else ("", None)


# --- labels for traffic counters --------------------------------------------------------------------------------------


def traffic_label(route: Route) -> str:
    """The kind of resource; where the path is free text (topics, addresses), the operation.

    >>> traffic_label(Route(operation="update", resource="kube-node-lease/lease/edge-1"))
    'lease'
    """
    if route.group == constants.GROUP_USER or route.operation == constants.KEEPALIVE:
        return route.operation
    task = try_parse_node_task(route.resource)
    if task is not None:
        return task.job_type
    device = try_parse_device(route.resource)
    resource = try_parse(route.resource)
    return device.about if device else resource.type if resource else route.resource or route.operation
