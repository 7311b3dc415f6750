"""Frames of the link as messages. Pure."""

from __future__ import annotations

from kubeedge_actors.errors import WireError
from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.beehive import Route
from kubeedge_actors.wire.messages import LinkMessage


def message_of(frame: str) -> LinkMessage | None:
    """The message of a frame; None for the empty one that a hub says when it stops. Error: FrameError."""
    record = beehive.decode(frame)
    if not record.header.msg_id and record.route == Route():
        return None
    return mapping.from_beehive(record)


def resource_of(message: LinkMessage) -> str:
    """The path of a message on the wire; empty when its name is what is wrong with it."""
    try:
        return mapping.route_of(message).resource
    except WireError:
        return ""
