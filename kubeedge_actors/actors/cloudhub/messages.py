"""CloudHub's messages to itself (events of the link server, timers), and the union of downstream messages; where it listens."""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.wire.messages import (
    BusSubscribe,
    BusUnsubscribe,
    BusUploaded,
    CustomMessage,
    DeletePod,
    DeviceStateReported,
    ErrorResponse,
    KeepAlive,
    MembershipDetail,
    MembershipUpdate,
    Message,
    NodeTask,
    NodeTaskReported,
    QueryClusterCa,
    ReportEvent,
    ReportStored,
    Response,
    ServiceBusResponse,
    ServiceCall,
    TargetUrlAdded,
    TargetUrlRemoved,
    TwinReported,
)


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where the hub serves, and with which certificate; `tls` None only in tests."""

    host: str
    port: int
    tls: TlsPaths | None


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


class DelayedAcksDue(Message, frozen=True, kw_only=True):
    """Time to acknowledge what was handled."""


HANDLED_HERE = frozenset({KeepAlive, Response, ErrorResponse, QueryClusterCa, CustomMessage})
"""Upward types that end in the hub."""
HUB_MESSAGES = (PeerJoined, FrameReceived, PeerLeft, SessionCheckDue, DelayedAcksDue)

DownstreamMessage = (
    Response
    | MembershipUpdate
    | MembershipDetail
    | ReportStored
    | BusSubscribe
    | BusUnsubscribe
    | ServiceBusResponse
    | TargetUrlAdded
    | TargetUrlRemoved
    | ServiceCall
    | NodeTask
)
"""What may be said to a node, beside objects."""
SENT_ONCE = (BusSubscribe, BusUnsubscribe, TargetUrlAdded, TargetUrlRemoved, ServiceCall)
"""Those of them that no node asks for."""

DURABLE = frozenset(
    {TwinReported, DeviceStateReported, ReportEvent, BusUploaded, DeletePod, NodeTaskReported, CustomMessage}
)
"""What a node keeps until it was handled here."""
