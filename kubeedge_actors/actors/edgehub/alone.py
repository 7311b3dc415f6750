"""In EdgeHub's place on a node without a cloud: whoever asks is refused at once, what would be reported is not kept."""

from __future__ import annotations

from kubeedge_actors.actors.edgehub.lanes import Asking, Telling
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    AskStored,
    BusUploaded,
    DeletePod,
    DeviceStateReported,
    Refused,
    ReportEvent,
    TwinReported,
)

REASON = "this node works without a cloud"


class Alone(Module):
    """Takes what EdgeHub takes. There is nobody to keep reports for: they end here, on purpose."""

    name = names.EDGEHUB
    group = names.GROUP_HUB
    emits = (Refused,)

    @on
    def refuse(self, message: Asking) -> None:
        """As EdgeHub does while the link is down."""
        self.tell(names.METAMANAGER, Refused(parent_msg_id=message.msg_id, resource="", reason=REASON))

    @on
    def pass_over(
        self, message: Telling | TwinReported | DeviceStateReported | ReportEvent | BusUploaded | DeletePod
    ) -> None:
        """Nobody is to be told."""
        self.log.debug("%s is not told: there is no cloud", type(message).__name__)

    @on
    def stored(self, message: AskStored) -> None:
        """There is nothing to wait for."""
