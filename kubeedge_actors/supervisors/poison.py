"""Whose messages crash others: the senders of messages that became dead letters because their handlers crashed too often."""

from __future__ import annotations

from collections import deque

LIMIT, PERIOD = 5, 60.0
"""So many such messages of one sender within so many seconds are too many."""


class PoisonLog:
    """Counts poison messages by sender, in a sliding window.

    >>> log = PoisonLog()
    >>> [log.add("bridge", at) for at in (0.0, 1.0, 2.0, 3.0, 70.0, 71.0, 72.0, 73.0, 74.0)]
    [False, False, False, False, False, False, False, False, True]
    """

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}

    def add(self, sender: str, now: float) -> bool:
        """One more at `now` (monotonic); True when they are too many. Counting begins anew then."""
        times = self._times.setdefault(sender, deque())
        times.append(now)
        while times[0] <= now - PERIOD:
            times.popleft()
        if len(times) < LIMIT:
            return False
        del self._times[sender]
        return True
