"""Frames of the link as messages. Pure."""

from __future__ import annotations

from kubeedge_actors.errors import WireError
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.beehive import Route
from kubeedge_actors.wire.messages import (
    ApplicationRequest,
    BusUploaded,
    CustomMessage,
    DeletePod,
    ErrorResponse,
    LinkMessage,
    NodeTaskReported,
    ReportEvent,
    Response,
)

DurableMessage = ReportEvent | BusUploaded | DeletePod | NodeTaskReported | CustomMessage
"""What is kept in the outbox, in order."""


def message_of(frame: str) -> LinkMessage | None:
    """The message of a frame; None for the empty one that a hub says when it stops. Error: FrameError."""
    record = beehive.decode(frame)
    if not record.header.msg_id and record.route == Route():
        return None
    return mapping.from_beehive(record)


def asker_of(message: LinkMessage) -> str:
    """Which module waits for an answer, or has asked a request: MetaServer for what is of its programs, MetaManager for all else."""
    if isinstance(message, Response):
        return (
            constants.SOURCE_METASERVER
            if message.operation == constants.APPLICATION_RESPONSE
            else constants.METAMANAGER
        )
    return constants.SOURCE_METASERVER if isinstance(message, ApplicationRequest) else constants.METAMANAGER


def error_response(request: LinkMessage, reason: str) -> ErrorResponse:
    """What whoever waits for the answer to a request is told in its place."""
    try:
        resource = mapping.route_of(request).resource
    except WireError:
        resource = ""  # its name is what is wrong
    return ErrorResponse(parent_msg_id=request.msg_id, resource=resource, reason=reason)


def confirmation(msg_id: str) -> Response:
    """What tells the cloud that a message of its modules was handled."""
    return Response(parent_msg_id=msg_id, resource="", source=constants.SOURCE_EDGEHUB)
