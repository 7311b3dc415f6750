"""Which durable messages of one node were taken, so that a repeated one is not handled twice. Pure.

Lives as long as the node is known, not as long as a session: what was handled and not yet acknowledged comes again
after a reconnect.
"""

from __future__ import annotations

import enum
from collections import deque

from kubeedge_actors.wire.messages import (
    BusUploaded,
    DeletePod,
    DeviceStateReported,
    ReportEvent,
    Said,
    TwinReported,
)

DURABLE = frozenset({TwinReported, DeviceStateReported, ReportEvent, BusUploaded, DeletePod})
REMEMBERED = 2048


class Standing(enum.Enum):
    """What is known of a message that comes in."""

    NEW = "new"
    IN_WORK = "in work"
    DONE = "done"


class Receipts:
    """A bounded memory of message ids: the last `size` that were done, and all that are in work."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._done: dict[str, None] = {}
        self._in_work: set[str] = set()
        self._owed: deque[str] = deque()

    def begin(self, message: Said) -> Standing:
        """Look at a durable message that came in; a new one is in work from now on."""
        if message.msg_id in self._done:
            self._owed.append(message.msg_id)  # it was acknowledged before, and that was lost
            return Standing.DONE
        if message.msg_id in self._in_work:
            return Standing.IN_WORK
        self._in_work.add(message.msg_id)
        return Standing.NEW

    def done(self, msg_id: str) -> None:
        """It was handled: the node may forget it."""
        self._in_work.discard(msg_id)
        self._done[msg_id] = None
        self._owed.append(msg_id)
        while len(self._done) > self._size:
            del self._done[next(iter(self._done))]

    def abandon(self, msg_id: str) -> None:
        """It was not handled: when it comes again it is new."""
        self._in_work.discard(msg_id)

    def owed(self, most: int = 500) -> list[str]:
        """Ids to acknowledge now; they are not given again."""
        return [self._owed.popleft() for _ in range(min(most, len(self._owed)))]

    def lost(self) -> None:
        """The session is over: what is owed will be asked for again."""
        self._owed.clear()
