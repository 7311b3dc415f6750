"""What becomes of a link that the hub has let go."""

from __future__ import annotations

from typing import Any, cast

from kubeedge_actors.actors.edgehub.messages import FrameReceived, LinkClosed, LinkEventsAdapter
from kubeedge_actors.drivers.link.base import CloseReason, Link
from kubeedge_actors.supervisors import Ref


class Told:
    """A Ref that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def tell(self, message: object) -> None:
        self.messages.append(message)


def test_the_end_of_a_link_is_told_to_the_hub() -> None:
    told = Told()
    LinkEventsAdapter(cast("Ref", told), cast("Link", object())).on_close(CloseReason("cut"))
    assert [type(each) for each in told.messages] == [LinkClosed]


def test_the_end_of_a_link_that_a_stopping_hub_has_let_go_is_told_to_nobody_but_texts_still_count() -> None:
    told = Told()
    gate = LinkEventsAdapter(cast("Ref", told), cast("Link", object()))
    gate.detach()
    gate.on_text("late")
    gate.on_written(["mark"])
    gate.on_close(CloseReason("closed by this side"))
    assert told.messages == [FrameReceived(text="late")]
