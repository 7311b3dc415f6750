"""In EdgeHub's place on a node without a cloud: requests get an error at once, reports are dropped."""

from __future__ import annotations

from kubeedge_actors.actors.edgehub.frames import asker_of
from kubeedge_actors.actors.edgehub.send_queue import OneWayMessage, Request
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    BusUploaded,
    CustomMessage,
    DeletePod,
    DeviceStateReported,
    ErrorResponse,
    FlushRequest,
    NodeTaskReported,
    ReportEvent,
    TwinReported,
)

REASON = "this node works without a cloud"


class OfflineEdgeHub(Module):
    """Accepts what EdgeHub accepts. Reports end here, on purpose: there is no cloud to keep them for."""

    name = constants.EDGEHUB
    group = constants.GROUP_HUB
    emits = (ErrorResponse,)

    @on
    def on_request(self, message: Request) -> None:
        """Answer ErrorResponse, as EdgeHub does while the link is down."""
        self.tell(asker_of(message), ErrorResponse(parent_msg_id=message.msg_id, resource="", reason=REASON))

    @on
    def on_message_to_cloud(
        self,
        message: OneWayMessage
        | TwinReported
        | DeviceStateReported
        | ReportEvent
        | BusUploaded
        | DeletePod
        | NodeTaskReported
        | CustomMessage,
    ) -> None:
        """Drop it."""
        self.log.debug("%s is not told: there is no cloud", type(message).__name__)

    @on
    def on_flush_request(self, message: FlushRequest) -> None:
        """Answered at once: nothing is stored."""
