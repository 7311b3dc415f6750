"""What a change in the API has to tell which node. Pure.

Source: KubeEdge cloud/pkg/edgecontroller/controller/downstream.go.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kubeedge_actors.actors.edgecontroller.references import Reference, Usage
from kubeedge_actors.drivers.cluster.base import Change, Operation, identity
from kubeedge_actors.kubernetes.objects import differs_beyond_status, node_name
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import ObjectPushed

Json = dict[str, Any]

WORDS = {Operation.ADDED: names.INSERT, Operation.MODIFIED: names.UPDATE, Operation.DELETED: names.DELETE}


def pod_pushes(change: Change, edge_nodes: Collection[str]) -> list[ObjectPushed]:
    """A pod that an edge node runs; an echo when only its status has changed.

    A pod that changed hands (deleted and made again behind a broken watch) is told to its new node only:
    SyncController tells the old one.
    """
    node = node_name(change.object)
    if node not in edge_nodes:
        return []
    echo = change.operation is Operation.MODIFIED and not differs_beyond_status(change.old, change.object)
    operation = WORDS[change.operation]
    if change.operation is Operation.ADDED and change.object["metadata"].get("deletionTimestamp"):
        operation = names.UPDATE
    elif change.operation is Operation.MODIFIED and change.old is not None and not node_name(change.old):
        operation = names.INSERT  # it was bound just now: the node has not heard of it
    return [push(operation, names.POD, node, change.object, echo)]


def node_pushes(change: Change) -> list[ObjectPushed]:
    """The Node object for the node itself, an echo when only its status has changed; its deletion is no message."""
    if change.operation is Operation.DELETED:
        return []
    echo = not differs_beyond_status(change.old, change.object)
    return [push(names.UPDATE, names.NODE, change.object["metadata"]["name"], change.object, echo)]


def object_pushes(change: Change, type: str, usage: Usage) -> list[ObjectPushed]:
    """A config map or secret for each node that has a use for it."""
    operation = WORDS[change.operation]
    if type == names.SECRET and operation == names.INSERT:
        operation = names.UPDATE
    who = identity(change.object)
    nodes = usage.holders(Reference(type, who.namespace, who.name))
    return [push(operation, type, node, change.object) for node in nodes]


def push(operation: str, type: str, node: str, object: Json, echo: bool = False) -> ObjectPushed:
    """The object as a message to a node."""
    who = identity(object)
    return ObjectPushed(
        node=node,
        operation=operation,
        type=type,
        namespace=who.namespace or names.CLUSTER_SCOPE,
        name=who.name,
        object=object,
        resource_version=who.version,
        echo=echo,
    )


def pod_stub(node: str, namespace: str, name: str, uid: str = "") -> ObjectPushed:
    """The deletion of a pod that the API does not know (any more); a uid spares a successor of the same name."""
    metadata: Json = {"name": name, "namespace": namespace, "creationTimestamp": None}
    if uid:
        metadata["uid"] = uid
    stub: Json = {"metadata": metadata, "spec": {"containers": None}, "status": {}}
    return ObjectPushed(node=node, operation=names.DELETE, type=names.POD, namespace=namespace, name=name, object=stub)
