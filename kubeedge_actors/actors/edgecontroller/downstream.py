"""Pushes to nodes that follow from a change in the API (KubeEdge: edgecontroller/controller/downstream.go). Pure.

Source: KubeEdge cloud/pkg/edgecontroller/controller/downstream.go.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kubeedge_actors.actors.edgecontroller.location_cache import LocationCache
from kubeedge_actors.drivers.cluster.base import EventType, WatchEvent, object_reference
from kubeedge_actors.kubernetes.objects import differs_beyond_status, node_name
from kubeedge_actors.kubernetes.pod_references import ConfigReference
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.link_messages import OPERATION_OF_EVENT
from kubeedge_actors.wire.messages import ObjectPushed

Json = dict[str, Any]


def bound_object_pushes(change: WatchEvent, type: str, edge_nodes: Collection[str]) -> list[ObjectPushed]:
    """The push of a bound object (a v1.Pod) to its edge node, or none; `status_only` when only its status has changed.

    One that changed hands (deleted and made again behind a broken watch) is told to its new node only:
    SyncController tells the old one.
    """
    node = node_name(change.object)
    if node not in edge_nodes:
        return []
    echo = change.type is EventType.MODIFIED and not differs_beyond_status(change.old, change.object)
    operation = OPERATION_OF_EVENT[change.type.value]
    if change.type is EventType.ADDED and change.object["metadata"].get("deletionTimestamp"):
        operation = constants.UPDATE
    elif change.type is EventType.MODIFIED and change.old is not None and not node_name(change.old):
        operation = constants.INSERT  # it was bound just now: the node has not heard of it
    return [object_push(operation, type, node, change.object, echo)]


def node_pushes(change: WatchEvent) -> list[ObjectPushed]:
    """The push of a v1.Node to itself, `status_only` when only its status has changed; none for a deletion."""
    if change.type is EventType.DELETED:
        return []
    echo = not differs_beyond_status(change.old, change.object)
    return [object_push(constants.UPDATE, constants.NODE, change.object["metadata"]["name"], change.object, echo)]


def pod_config_pushes(change: WatchEvent, type: str, location_cache: LocationCache) -> list[ObjectPushed]:
    """The pushes of a v1.ConfigMap or v1.Secret to each node whose pods use it."""
    operation = OPERATION_OF_EVENT[change.type.value]
    if type == constants.SECRET and operation == constants.INSERT:
        operation = constants.UPDATE
    reference = object_reference(change.object)
    nodes = location_cache.nodes_for(ConfigReference(type, reference.namespace, reference.name))
    return [object_push(operation, type, node, change.object) for node in nodes]


def object_push(operation: str, type: str, node: str, object: Json, status_only: bool = False) -> ObjectPushed:
    """The object as a message to a node."""
    reference = object_reference(object)
    return ObjectPushed(
        node=node,
        operation=operation,
        type=type,
        namespace=reference.namespace or constants.CLUSTER_SCOPE,
        name=reference.name,
        object=object,
        resource_version=reference.version,
        status_only=status_only,
    )


def pod_deletion_push(node: str, namespace: str, name: str, uid: str = "") -> ObjectPushed:
    """The deletion of a pod that the API does not know (any more); a uid spares a successor of the same name."""
    metadata: Json = {"name": name, "namespace": namespace, "creationTimestamp": None}
    if uid:
        metadata["uid"] = uid
    stub: Json = {"metadata": metadata, "spec": {"containers": None}, "status": {}}
    return ObjectPushed(
        node=node, operation=constants.DELETE, type=constants.POD, namespace=namespace, name=name, object=stub
    )
