"""The messages that say an object again, and the records as the API has them. Pure."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.synccontroller.ledger import Record, Write
from kubeedge_actors.drivers.cluster.base import Kind, identity
from kubeedge_actors.wire import kinds, names
from kubeedge_actors.wire.messages import ObjectPushed

Json = dict[str, Any]

TRACKED = frozenset({names.NODE, names.POD, names.CONFIGMAP, names.SECRET, names.DEVICE, names.DEVICEMODEL})
"""Types of which nodes are told changes; what a node has asked for beside them it asks for again."""
SYNC_KIND, CLUSTER_SYNC_KIND = Kind(*kinds.OBJECTSYNC), Kind(*kinds.CLUSTEROBJECTSYNC)

_OF_DEVICES = frozenset({names.DEVICE, names.DEVICEMODEL})
_TYPES = {Kind(*kind).kind: type for type, kind in kinds.BY_TYPE.items() if type in TRACKED}


def update(node: str, type: str, object: Json) -> ObjectPushed:
    """The object as it is now. Devices keep the source on which an edge hands them to DeviceTwin."""
    who = identity(object)
    return ObjectPushed(
        node=node,
        operation=names.UPDATE,
        type=type,
        namespace=who.namespace or names.CLUSTER_SCOPE,
        name=who.name,
        object=object,
        resource_version=who.version,
        source=_source(type),
    )


def deletion(node: str, record: Record) -> ObjectPushed:
    """The object is gone, or not the node's any more: a stub with just its identity."""
    kind = Kind(*kinds.BY_TYPE[record.type])
    metadata = {"name": record.name, "uid": record.uid}
    if record.namespace:
        metadata["namespace"] = record.namespace
    return ObjectPushed(
        node=node,
        operation=names.DELETE,
        type=record.type,
        namespace=record.namespace or names.CLUSTER_SCOPE,
        name=record.name,
        object={"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata},
        source=_source(record.type),
    )


def record_of(type: str, namespace: str, name: str, uid: str, **versions: Any) -> Record | None:
    """A record of an object on the wire; None when it is not tracked or nobody knows which one it is."""
    if type not in TRACKED or not uid:
        return None
    return Record(type, "" if namespace == names.CLUSTER_SCOPE else namespace, name, uid, **versions)


def pushed_record(push: ObjectPushed, **versions: Any) -> Record | None:
    """The record of a push."""
    metadata = push.object.get("metadata")
    uid = str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""
    return record_of(push.type, push.namespace, push.name, uid, **versions)


def sync_place(write: Write) -> tuple[Kind, str, str]:
    """Kind, namespace and name of the API's record."""
    kind = SYNC_KIND if write.namespace else CLUSTER_SYNC_KIND
    return kind, write.namespace, f"{write.node}.{write.uid}"


def sync_object(write: Write) -> Json:
    """The API's record when it is made."""
    kind = Kind(*kinds.BY_TYPE[write.type])
    spec = {"objectAPIVersion": kind.api_version, "objectKind": kind.kind, "objectName": write.name}
    return {"metadata": {"name": f"{write.node}.{write.uid}"}, "spec": spec}


def sync_status(version: str) -> Json:
    """The part of it that changes."""
    return {"status": {"objectResourceVersion": version}}


def read_sync(object: Json) -> tuple[str, Record] | None:
    """Node and record of one in the API; None for objects that are not tracked here."""
    who = identity(object)
    node, dot, uid = who.name.rpartition(".")
    spec, status = object.get("spec") or {}, object.get("status") or {}
    type = _TYPES.get(str(spec.get("objectKind", "")))
    if not dot or type is None:
        return None
    version = str(status.get("objectResourceVersion") or "0")
    record = Record(type, who.namespace, str(spec.get("objectName", "")), uid, version=version, stored=version)
    return node, record


def _source(type: str) -> str:
    return names.DEVICECONTROLLER if type in _OF_DEVICES else names.EDGECONTROLLER
