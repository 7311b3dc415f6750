"""Messages of the connection itself, which concern no module (KubeEdge: viaduct): control operations, and the empty message at the end. Pure."""

from __future__ import annotations

from kubeedge_actors.wire import constants
from kubeedge_actors.wire.beehive import BeehiveMessage
from kubeedge_actors.wire.messages import QueryClusterCa, Response, UnknownMessage

CONTROL = frozenset({constants.CONTROL_CONFIG, constants.CONTROL_PING, constants.CONTROL_PONG})


def control_response(message: UnknownMessage) -> Response | None:
    """The answer to a control operation (source: KubeEdge pkg/viaduct/pkg/conn/ws.go); None when it is none."""
    route = message.message.route
    if route.operation not in CONTROL:
        return None
    return Response(
        node=message.node,
        parent_msg_id=message.msg_id,
        resource=route.resource,
        source=route.source,
        group=route.group,
        content=constants.CONTROL_ACK,
    )


def cluster_ca_response(query: QueryClusterCa, cluster_ca: str) -> Response:
    """The answer to the question for the cluster's CA, PEM text."""
    return Response(
        node=query.node,
        parent_msg_id=query.msg_id,
        resource=constants.PATH_CLUSTER_CA,
        content=cluster_ca,
        source=constants.CLOUDHUB,
    )


def is_final_empty_message(message: UnknownMessage) -> bool:
    """Whether it is the empty message that an edge sends last."""
    record: BeehiveMessage = message.message
    return not record.header.msg_id and not record.route.operation and not record.route.resource
