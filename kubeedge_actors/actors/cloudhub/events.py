"""What the hub tells itself: events of the link server, and times that have come."""

from __future__ import annotations

from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.wire.messages import Message


class PeerJoined(Message, frozen=True, kw_only=True):
    """A node is connected."""

    peer: Peer


class TextCame(Message, frozen=True, kw_only=True):
    """A node sent a text; `at` is when it came off the socket (monotonic seconds)."""

    peer: Peer
    text: str
    at: float


class PeerLeft(Message, frozen=True, kw_only=True):
    """A node's connection is gone."""

    peer: Peer
    reason: str


class Tick(Message, frozen=True, kw_only=True):
    """Time to look at the sessions; `due` is when it was to be handled (monotonic seconds)."""

    due: float


class Gathered(Message, frozen=True, kw_only=True):
    """Time to acknowledge what was handled."""


class RefreshToken(Message, frozen=True, kw_only=True):
    """Time for a new bootstrap token."""


EVENTS = (PeerJoined, TextCame, PeerLeft, Tick, Gathered, RefreshToken)
