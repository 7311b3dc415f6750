"""ObjectSync records as API objects, the pushes that repeat an object, and the actor that makes the API calls
(KubeEdge: reliableClient).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from kubeedge_actors.actors.synccontroller.objectsync import NO_VERSION, ObjectSyncRecord, ObjectSyncWrite
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    is_temporary,
    object_reference,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, NotFound
from kubeedge_actors.kubernetes.object_types import (
    BY_NAME,
    CLUSTEROBJECTSYNC_KIND,
    OBJECTSYNC_KIND,
    ResourceKind,
    types_where,
)
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ObjectPushed

Json = dict[str, Any]
SYNCED_TYPES = types_where(lambda row: row.is_synced)
"""Types of which nodes are told changes; what a node has asked for beside them it asks for again."""
_TYPES = {BY_NAME[type].kind.kind: type for type in SYNCED_TYPES}


def update_push(node: str, type: str, object: Json) -> ObjectPushed:
    """The object as it is now. Devices keep the source on which an edge hands them to DeviceTwin."""
    reference = object_reference(object)
    return ObjectPushed(
        node=node,
        operation=constants.UPDATE,
        type=type,
        namespace=reference.namespace or constants.CLUSTER_SCOPE,
        name=reference.name,
        object=object,
        resource_version=reference.version,
        source=_source(type),
    )


def deletion_push(node: str, record: ObjectSyncRecord) -> ObjectPushed:
    """The object is gone, or not the node's any more: a stub with just its identity."""
    kind = BY_NAME[record.type].kind
    metadata = {"name": record.name, "uid": record.uid}
    if record.namespace:
        metadata["namespace"] = record.namespace
    return ObjectPushed(
        node=node,
        operation=constants.DELETE,
        type=record.type,
        namespace=record.namespace or constants.CLUSTER_SCOPE,
        name=record.name,
        object={"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata},
        source=_source(record.type),
    )


def record_of(type: str, namespace: str, name: str, uid: str, **versions: Any) -> ObjectSyncRecord | None:
    """A record of an object on the wire; None when it is not tracked or nobody knows which one it is."""
    if type not in SYNCED_TYPES or not uid:
        return None
    return ObjectSyncRecord(type, "" if namespace == constants.CLUSTER_SCOPE else namespace, name, uid, **versions)


def pushed_record(push: ObjectPushed, **versions: Any) -> ObjectSyncRecord | None:
    """The record of a push; None when its type is not tracked."""
    metadata = push.object.get("metadata")
    uid = str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""
    return record_of(push.type, push.namespace, push.name, uid, **versions)


def record_location(write: ObjectSyncWrite) -> tuple[ResourceKind, str, str]:
    """Kind, namespace and name of the API's record."""
    kind = OBJECTSYNC_KIND if write.namespace else CLUSTEROBJECTSYNC_KIND
    return kind, write.namespace, f"{write.node}.{write.uid}"


def record_object(write: ObjectSyncWrite) -> Json:
    """The ObjectSync to create."""
    kind = BY_NAME[write.type].kind
    spec = {"objectAPIVersion": kind.api_version, "objectKind": kind.kind, "objectName": write.name}
    return {"metadata": {"name": f"{write.node}.{write.uid}"}, "spec": spec}


def record_status(version: str) -> Json:
    """The status of an ObjectSync."""
    return {"status": {"objectResourceVersion": version}}


def parse_record(object: Json) -> tuple[str, ObjectSyncRecord] | None:
    """Node and record of one in the API; None for objects that are not tracked here."""
    reference = object_reference(object)
    node, dot, uid = reference.name.rpartition(".")
    spec, status = object.get("spec") or {}, object.get("status") or {}
    type = _TYPES.get(str(spec.get("objectKind", "")))
    if not dot or type is None:
        return None
    version = str(status.get("objectResourceVersion") or "0")
    record = ObjectSyncRecord(
        type, reference.namespace, str(spec.get("objectName", "")), uid, version=version, stored_version=version
    )
    return node, record


def _source(type: str) -> str:
    return constants.DEVICECONTROLLER if BY_NAME[type].of_devices else constants.EDGECONTROLLER


# --- the actor that makes the API calls -------------------------------------------------------------------------------


OBJECTSYNC_WRITER = f"{constants.SYNCCONTROLLER}-clerk"


@dataclass(frozen=True, slots=True)
class WriteRecords:
    """Write these records; answered with the list of those that the API has now (or rejects for good)."""

    writes: list[ObjectSyncWrite]


@dataclass(frozen=True, slots=True)
class PushAgain:
    """Fetch the object of this record and push it to the node."""

    node: str
    record: ObjectSyncRecord


class ObjectSyncWriter(Module):
    """Writes records and repeats pushes, one API call after the other."""

    group = constants.SYNCCONTROLLER
    emits = (ObjectPushed,)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @on
    def on_write_records(self, order: WriteRecords) -> list[ObjectSyncWrite]:
        """Write until the API fails temporarily; what is left is not in the answer."""
        written: list[ObjectSyncWrite] = []
        for write in order.writes:
            try:
                self._write(write)
            except ClusterError as error:
                if is_temporary(error):
                    self.log.warning("ObjectSyncs can not be written, retrying: %s", error)
                    break
                self.log.warning(
                    "the ObjectSync of %s %s on %s is rejected: %s", write.type, write.name, write.node, error
                )
            written.append(write)
        return written

    @on
    def on_push_again(self, order: PushAgain) -> None:
        """Fetch the object and push it; when the API is away SyncController asks again."""
        kind = BY_NAME[order.record.type].kind
        try:
            object = self._cluster.get(kind, order.record.namespace, order.record.name)
        except NotFound:
            self.publish(deletion_push(order.node, order.record))
        except ClusterError as error:
            self.log.warning(
                "%s %s can not be fetched for %s: %s", order.record.type, order.record.name, order.node, error
            )
        else:
            self.publish(update_push(order.node, order.record.type, object))

    def _write(self, write: ObjectSyncWrite) -> None:
        kind, namespace, name = record_location(write)
        if write.version is None:
            with contextlib.suppress(NotFound):  # somebody else was quicker
                self._cluster.delete(kind, namespace, name)
            return
        if write.known:
            try:
                self._cluster.patch(kind, namespace, name, record_status(write.version), subresource="status")
                return
            except NotFound:
                self.log.debug("the record %s is gone and made again", name)
        try:
            self._cluster.create(kind, namespace, record_object(write))
        except AlreadyExists:
            if write.version == NO_VERSION:
                return  # another cloud has made it, and may know more
        self._cluster.patch(kind, namespace, name, record_status(write.version), subresource="status")
