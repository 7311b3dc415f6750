"""What becomes of pushed objects (KubeEdge: processInsert, processUpdate, processDelete): rows to write, modules to
notify, acks. Pure.

Source: KubeEdge edge/pkg/metamanager/process.go (processInsert, processUpdate, processDelete).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.drivers.store.base import MetaChanges, MetaRow, ObjectRow
from kubeedge_actors.kubernetes.object_shape import shape_error
from kubeedge_actors.kubernetes.object_types import types_where
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeviceChanged,
    Json,
    Message,
    ObjectPushed,
    PodChanged,
    PodConfigChanged,
    Response,
)
from kubeedge_actors.wire.resource import object_path

PUSH_SOURCES = frozenset(
    {
        constants.EDGECONTROLLER,
        constants.SOURCE_DYNAMICCONTROLLER,
        constants.DEVICECONTROLLER,
        constants.SOURCE_POLICYCONTROLLER,
    }
)
"""Whose updates are acknowledged. An update of anybody else is stored and said again until the cloud gives up."""
DEVICE_TYPES = types_where(lambda row: row.of_devices)
POD_CONFIG_TYPES = types_where(lambda row: row.is_pod_config)
NOTIFICATIONS = (PodChanged, PodConfigChanged, DeviceChanged)
"""Whom a stored object concerns is told by one of these (`_notify`)."""
MAX_REMEMBERED = 1000
Read = Callable[[str], MetaRow | None]
ReadObject = Callable[[str], ObjectRow | None]


class ObjectVersion(NamedTuple):
    """Version of a known object: uid, resourceVersion, and whether it is deleted."""

    uid: str
    version: int | None
    gone: bool = False

    def covers(self, other: ObjectVersion) -> bool:
        """Whether `other` is not newer than this version."""
        if self.uid != other.uid or not self.uid:
            return False
        if other.gone:
            return self.gone
        if self.version is None or other.version is None:
            return False
        return other.version <= self.version


@dataclass(slots=True)
class DownstreamPlan:
    """What to do with a batch of pushes: rows, notifications, acks, in order."""

    rows: dict[str, MetaRow | None] = field(default_factory=dict)
    objects: dict[str, ObjectRow | None] = field(default_factory=dict)
    notifications: list[Message] = field(default_factory=list)
    acks: list[Response] = field(default_factory=list)
    versions: dict[str, ObjectVersion] = field(default_factory=dict)

    @property
    def changes(self) -> MetaChanges:
        """All writes as one transaction."""
        return MetaChanges(
            put=[row for row in self.rows.values() if row],
            removed=[key for key, row in self.rows.items() if row is None],
            objects=[row for row in self.objects.values() if row],
            removed_objects=[key for key, row in self.objects.items() if row is None],
        )


class DownstreamPlanner:
    """Plans batches of pushes, and remembers versions, so that a repeated push is only acknowledged.

    Nothing of this is durable on purpose: after a crash an object is told again rather than not at all.
    """

    def __init__(self, read: Read, read_object: ReadObject = lambda key: None) -> None:
        self._read, self._read_object = read, read_object
        self._versions: dict[str, ObjectVersion] = {}

    def plan(self, pushes: Sequence[ObjectPushed]) -> DownstreamPlan:
        """What to do with these pushes; `on_committed` once it is committed."""
        plan = DownstreamPlan()
        for push in pushes:
            key = object_path(push.type, push.namespace, push.name)
            deleted = push.operation == constants.DELETE
            if push.source == constants.SOURCE_DYNAMICCONTROLLER:
                self._watched(plan, push)
                plan.acks.append(ack_response(push, key))
                continue
            version = ObjectVersion(uid_of(push.object), version_of(push.object, push.resource_version), deleted)
            known = plan.versions.get(key) or self._versions.get(key)
            if known is None or not known.covers(version):
                self._take(plan, key, push, self._keep_version(known, version))
            if deleted or push.operation == constants.INSERT or push.source in PUSH_SOURCES:
                plan.acks.append(ack_response(push, key))
        return plan

    def on_committed(self, plan: DownstreamPlan) -> None:
        """A plan was committed: remember its versions."""
        for key, version in plan.versions.items():
            self._versions.pop(key, None)
            self._versions[key] = version
        deleted = [key for key, version in self._versions.items() if version.gone]
        for key in deleted[: max(0, len(deleted) - MAX_REMEMBERED)]:
            del self._versions[key]

    @staticmethod
    def _keep_version(known: ObjectVersion | None, version: ObjectVersion) -> ObjectVersion:
        """A delete stub carries no resourceVersion; use the last known one."""
        if version.gone and version.version is None and known is not None and known.uid == version.uid:
            return version._replace(version=known.version)
        return version

    def _take(self, plan: DownstreamPlan, key: str, push: ObjectPushed, version: ObjectVersion) -> None:
        if version.gone and self._is_other_object(plan, key, version):
            if push.type == constants.POD:
                _notify(plan, push)  # what runs of that pod has to end, whoever has its name now
            return
        (self._remove if version.gone else self._put)(plan, key, push)
        plan.versions[key] = version
        _notify(plan, push)

    def _is_other_object(self, plan: DownstreamPlan, key: str, version: ObjectVersion) -> bool:
        """Whether what is stored under this key is another object than the one that is gone."""
        stored = plan.rows[key] if key in plan.rows else self._read(key)
        object = parse_object(stored) if stored else None
        return bool(version.uid and object and uid_of(object) and uid_of(object) != version.uid)

    def _watched(self, plan: DownstreamPlan, push: ObjectPushed) -> None:
        """What a program of this node watches is for MetaServer alone: Edged must not run it. What is stored and newer stays."""
        row = object_row(push.object, content_text(push.object))
        if row is None:
            return
        stored = plan.objects[row.key] if row.key in plan.objects else self._read_object(row.key)
        deleted, newer = (
            push.operation == constants.DELETE,
            stored is not None and stored.resource_version > row.resource_version,
        )
        if deleted and stored is not None and uid_of(push.object):
            newer = uid_of(_decode(stored.value)) != uid_of(push.object)
        if not newer:
            plan.objects[row.key] = None if deleted else row

    def _put(self, plan: DownstreamPlan, key: str, push: ObjectPushed) -> None:
        text = content_text(push.object)
        plan.rows[key] = MetaRow(key, push.type, text)
        row = object_row(push.object, text)
        if row is not None:
            plan.objects[row.key] = row

    def _remove(self, plan: DownstreamPlan, key: str, push: ObjectPushed) -> None:
        stored = plan.rows[key] if key in plan.rows else self._read(key)
        if stored is None:
            return  # gone already
        plan.rows[key] = None
        if push.type == constants.POD:
            plan.rows[object_path(constants.PODPATCH, push.namespace, push.name)] = None
        row = object_row(parse_object(stored) or push.object, "")
        if row is not None:
            plan.objects[row.key] = None


def _notify(plan: DownstreamPlan, push: ObjectPushed) -> None:
    if push.source == constants.SOURCE_POLICYCONTROLLER:
        return
    if push.operation == constants.UPDATE and push.source not in PUSH_SOURCES:
        return
    if push.type == constants.POD:
        plan.notifications.append(PodChanged(operation=push.operation, object=push.object))
    elif push.type in DEVICE_TYPES:
        plan.notifications.append(DeviceChanged(operation=push.operation, type=push.type, object=push.object))
    elif push.type in POD_CONFIG_TYPES:
        about = {"type": push.type, "namespace": push.namespace, "name": push.name}
        plan.notifications.append(PodConfigChanged(operation=push.operation, **about))


def contradiction(push: ObjectPushed) -> str:
    """Why a push is not believed: its object is not of its type's shape, or has another name or namespace than its path. Empty when it is believed.

    What is on the node is found by the object's own name, and a name that is no segment of a path leads elsewhere.
    """
    if malformed := shape_error(push.type, push.object):
        return f"the object of {object_path(push.type, push.namespace, push.name)} is malformed: {malformed}"
    metadata = _metadata(push.object)
    name = metadata.get("name") or push.name
    namespace = metadata.get("namespace") or push.namespace
    if (name, namespace) == (push.name, push.namespace):
        return ""
    path = object_path(push.type, push.namespace, push.name)
    return f"the object of {path} says that it is {str(name)[:100]!r} in namespace {str(namespace)[:100]!r}"


def ack_response(push: ObjectPushed, key: str) -> Response:
    """The acknowledgement of a push. Devices are handed on before they are acknowledged, which shows in the address."""
    handed_on = (
        push.type in DEVICE_TYPES
        and push.source == constants.DEVICECONTROLLER
        and push.operation in (constants.INSERT, constants.DELETE)
    )
    return Response(
        parent_msg_id=push.msg_id,
        resource=key,
        source=constants.SOURCE_META if handed_on else push.source,
        group=constants.GROUP_TWIN if handed_on else constants.GROUP_RESOURCE,
    )


# --- Kubernetes objects as rows ---------------------------------------------------------------------------------------
#
# Their text, their identity, their place in the read API.


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_IRREGULAR = ("endpoints",)


def content_text(content: Any) -> str:
    """What is stored for a content: a JSON string without its quotes, everything else as JSON.

    >>> content_text({"a": 1}), content_text("raw")
    ('{"a":1}', 'raw')
    """
    raw = (
        content if isinstance(content, str) else getattr(content, "text", None)
    )  # an object that came as text keeps it
    return raw if isinstance(raw, str) else _encode(content).decode()


def parse_object(row: MetaRow) -> Json | None:
    """The object in a row; None when there is none, or only the error that stood in for it."""
    try:
        value = _decode(row.value)
    except msgspec.MsgspecError:
        return None
    return value if isinstance(value, dict) and not is_error_content(value) else None


def parse_objects(rows: list[MetaRow]) -> Iterator[Json]:
    """The objects in rows."""
    return (object for row in rows if (object := parse_object(row)) is not None)


def is_error_content(content: Any) -> bool:
    """Whether a content is the error that a cloud answers in place of an object."""
    return isinstance(content, dict) and content.keys() == {constants.ERR_STATUS}


def uid_of(content: Json) -> str:
    """The uid of an object, or empty."""
    return str(_metadata(content).get("uid") or "")


def version_of(content: Json, resource_version: str = "") -> int | None:
    """The resource version of an object, the one `resource_version` first; None when there is none."""
    text = str(resource_version or _metadata(content).get("resourceVersion") or "")
    return int(text) if text.isascii() and text.isdecimal() else None


def _metadata(content: Json) -> Json:
    metadata = content.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def object_row(content: Json, text: str) -> ObjectRow | None:
    """The row of an object for the read API; None for one that does not say what it is."""
    api, kind, metadata = content.get("apiVersion"), content.get("kind"), _metadata(content)
    name = metadata.get("name")
    if not (isinstance(api, str) and isinstance(kind, str) and isinstance(name, str) and api and kind and name):
        return None
    group, _, version = api.rpartition("/")
    namespace = str(metadata.get("namespace") or constants.CLUSTER_SCOPE)
    many = guess_plural(kind)
    return ObjectRow(
        key=f"/{group or 'core'}/{version}/{many}/{namespace}/{name}",
        group_version_resource=f"{group}/{version}, Resource={many}",
        namespace=namespace,
        name=name,
        resource_version=version_of(content) or 0,
        value=text,
    )


def guess_plural(kind: str) -> str:
    """The resource of a kind, as Kubernetes guesses it (source: apimachinery, UnsafeGuessKindToResource).

    >>> [guess_plural(kind) for kind in ("Pod", "Endpoints", "Ingress", "NetworkPolicy")]
    ['pods', 'endpoints', 'ingresses', 'networkpolicies']
    """
    singular = kind.lower()
    if singular.endswith(_IRREGULAR):
        return singular
    if singular.endswith("s"):
        return singular + "es"
    return singular[:-1] + "ies" if singular.endswith("y") else singular + "s"
