"""Who goes first on the link: frames that are said once, in lanes, and how much of what was sent is still on its way. Pure."""

from __future__ import annotations

import enum
from collections import deque

from kubeedge_actors.wire.messages import (
    Answered,
    AskMembership,
    InsertPod,
    PatchNode,
    PatchPod,
    QueryClusterCa,
    QueryLease,
    QueryObject,
    Refused,
    RegisterNode,
    RequestApi,
    RequestCertificate,
    RequestToken,
    UpdateNode,
    WriteLease,
)

Asking = (
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
    | RequestApi
)
"""What is said now or refused: somebody waits for the answer."""
Telling = Answered | Refused | AskMembership
"""What is said now or not at all: it will be asked for again."""

ROOM = 128 * 1024
CAPACITY = 2000


class Lane(enum.IntEnum):
    """The order of frames that are said once; what is durable comes after them."""

    BEAT = 0
    STATUS = 1


def lane_of(message: Asking) -> Lane:
    """A lease is a heart-beat in the eyes of the cluster."""
    return Lane.BEAT if isinstance(message, QueryLease | WriteLease) else Lane.STATUS


class Lanes:
    """Frames that wait for their turn, and the sizes of those that the link has not written yet."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, deque[str]] = {lane: deque() for lane in Lane}
        self._unwritten: deque[int] = deque()
        self._size = 0

    @property
    def room(self) -> bool:
        """Whether the link should be given more; little is given at a time, so that who goes first need not wait long."""
        return self._size < ROOM

    def full(self, lane: Lane) -> bool:
        """Whether a lane takes no more."""
        return len(self._waiting[lane]) >= CAPACITY

    def put(self, lane: Lane, frame: str) -> None:
        """Add a frame."""
        self._waiting[lane].append(frame)

    def take(self) -> str | None:
        """The next frame; None when all lanes are empty."""
        for waiting in self._waiting.values():
            if waiting:
                return waiting.popleft()
        return None

    def sent(self, frame: str) -> None:
        """A frame was given to the link."""
        self._unwritten.append(len(frame))
        self._size += len(frame)

    def written(self, count: int) -> None:
        """The link has written so many frames, in the order they were given."""
        for _ in range(min(count, len(self._unwritten))):
            self._size -= self._unwritten.popleft()

    def clear(self) -> None:
        """The link is gone, and what was to be said on it."""
        for waiting in self._waiting.values():
            waiting.clear()
        self._unwritten.clear()
        self._size = 0
