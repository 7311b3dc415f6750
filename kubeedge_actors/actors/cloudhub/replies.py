"""What the hub says of itself about a message, and which object an acknowledgement is about. Pure."""

from __future__ import annotations

from kubeedge_actors.wire import names, resource
from kubeedge_actors.wire.messages import Answered, ObjectPushed, Said, UnknownRecord
from kubeedge_actors.wire.record import Record

CONTROL = frozenset({names.CONTROL_CONFIG, names.CONTROL_PING, names.CONTROL_PONG})


def control_answer(message: UnknownRecord) -> Answered | None:
    """The answer to a control operation (source: KubeEdge pkg/viaduct/pkg/conn/ws.go); None when it is none."""
    route = message.record.route
    if route.operation not in CONTROL:
        return None
    return Answered(
        node=message.node,
        parent_msg_id=message.msg_id,
        resource=route.resource,
        source=route.source,
        group=route.group,
        content=names.CONTROL_ACK,
    )


def is_empty(message: UnknownRecord) -> bool:
    """Whether it is the message without content that an edge says last."""
    record: Record = message.record
    return not record.header.msg_id and not record.route.operation and not record.route.resource


def delivered_object(released: Said | None) -> ObjectPushed | None:
    """The object that a node has, now that it acknowledged this; None when it was no object of the cluster.

    An answer that held an object counts as the push of it: from now on the node has to be told when it changes.
    """
    if isinstance(released, ObjectPushed):
        return released
    if not isinstance(released, Answered) or released.group != names.GROUP_RESOURCE:
        return None
    found = resource.find(released.resource)
    content = released.content
    if found is None or not found.name or not released.resource_version or not isinstance(content, dict):
        return None
    return ObjectPushed(
        node=released.node,
        msg_id=released.msg_id,
        timestamp=released.timestamp,
        operation=names.UPDATE,
        type=found.type,
        namespace=found.namespace,
        name=found.name,
        object=content,
        resource_version=released.resource_version,
        source=released.source,
    )
