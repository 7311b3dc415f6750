"""What the hub is told: by itself, events of the link server and times that have come; by others, what to say to nodes."""

from __future__ import annotations

from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.wire.messages import (
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    MembershipDetail,
    MembershipUpdate,
    Message,
    ReportStored,
    Response,
    ServiceBusResponse,
    ServiceCall,
    TargetUrlAdded,
    TargetUrlRemoved,
)


class PeerJoined(Message, frozen=True, kw_only=True):
    """A node is connected."""

    peer: Peer


class FrameReceived(Message, frozen=True, kw_only=True):
    """A node sent a text; `at` is when it came off the socket (monotonic seconds)."""

    peer: Peer
    text: str
    at: float


class PeerLeft(Message, frozen=True, kw_only=True):
    """A node's connection is gone."""

    peer: Peer
    reason: str


class SessionCheckDue(Message, frozen=True, kw_only=True):
    """Time to look at the sessions; `due` is when it was to be handled (monotonic seconds)."""

    due: float


class AcksDue(Message, frozen=True, kw_only=True):
    """Time to acknowledge what was handled."""


HUB_MESSAGES = (PeerJoined, FrameReceived, PeerLeft, SessionCheckDue, AcksDue)

DownstreamMessage = (
    Response
    | MembershipUpdate
    | MembershipDetail
    | ReportStored
    | BusPublish
    | BusSubscribe
    | BusUnsubscribe
    | ServiceBusResponse
    | TargetUrlAdded
    | TargetUrlRemoved
    | ServiceCall
)
"""What may be said to a node, beside objects."""
