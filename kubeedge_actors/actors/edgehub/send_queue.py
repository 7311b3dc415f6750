"""Send queue of the link: two priorities, and a window of bytes that the link has not written yet."""

from __future__ import annotations

import enum
from collections import deque

from kubeedge_actors.actors.edgehub.traffic import UP, TrafficCounters
from kubeedge_actors.drivers.link.base import Link
from kubeedge_actors.wire.messages import (
    ApplicationRequest,
    ErrorResponse,
    InsertPod,
    MembershipRequest,
    PatchNode,
    PatchPod,
    QueryClusterCa,
    QueryLease,
    QueryObject,
    RegisterNode,
    RequestCertificate,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
)

Request = (
    RegisterNode
    | UpdateNode
    | PatchNode
    | QueryLease
    | WriteLease
    | InsertPod
    | PatchPod
    | QueryObject
    | RequestToken
    | RequestCertificate
    | QueryClusterCa
    | ApplicationRequest
)
"""What is said now or refused: somebody waits for the answer."""
OneWayMessage = Response | ErrorResponse | MembershipRequest
"""What is said now or not at all: it will be asked for again."""

MAX_UNWRITTEN = 128 * 1024
CAPACITY = 2000


class Priority(enum.IntEnum):
    """Priority of frames that are sent once; durable ones come after them."""

    KEEPALIVE = 0
    STATUS = 1


def priority_of(message: Request) -> Priority:
    """The priority of a request; leases have that of keepalives."""
    return Priority.KEEPALIVE if isinstance(message, QueryLease | WriteLease) else Priority.STATUS


class PrioritySendQueue:
    """Queued frames by priority, and the sizes of those that the link has not written yet."""

    def __init__(self, traffic: TrafficCounters | None = None) -> None:
        self._traffic = traffic or TrafficCounters()
        self._waiting: dict[Priority, deque[str]] = {lane: deque() for lane in Priority}
        self._unwritten: deque[int] = deque()
        self._size = 0

    @property
    def has_room(self) -> bool:
        """True while fewer than 128 KiB are unwritten; a small window keeps the latency of high-priority frames low."""
        return self._size < MAX_UNWRITTEN

    def is_full(self, lane: Priority) -> bool:
        """Whether the queue of a priority is full."""
        return len(self._waiting[lane]) >= CAPACITY

    def put(self, lane: Priority, frame: str) -> None:
        """Add a frame."""
        self._waiting[lane].append(frame)

    def take(self) -> str | None:
        """The next frame by priority; None when all queues are empty."""
        for waiting in self._waiting.values():
            if waiting:
                return waiting.popleft()
        return None

    def send(self, link: Link, frame: str, mark: str = "") -> None:
        """Give a frame to the link, and count it."""
        self.on_sent(frame)
        self._traffic.count(UP, frame)
        link.send(frame, mark)

    def on_sent(self, frame: str) -> None:
        """A frame was given to the link."""
        self._unwritten.append(len(frame))
        self._size += len(frame)

    def on_written(self, count: int) -> None:
        """The link has written so many frames, in the order they were given."""
        for _ in range(min(count, len(self._unwritten))):
            self._size -= self._unwritten.popleft()

    def clear(self) -> None:
        """The link is down: drop all frames."""
        for waiting in self._waiting.values():
            waiting.clear()
        self._unwritten.clear()
        self._size = 0
