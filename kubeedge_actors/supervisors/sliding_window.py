"""How often something happened lately."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """Counts what happens, and says when it happened `limit` times within `period` seconds; counting begins anew then.

    >>> window = SlidingWindow(limit=2, period=10.0)
    >>> [window.add(at) for at in (0.0, 11.0, 12.0, 13.0, 14.0)]
    [False, False, True, False, True]
    """

    __slots__ = ("_limit", "_period", "_times")

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._times: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Once more at `now` (monotonic); True when that is too often."""
        times = self._times
        times.append(now)
        while times[0] <= now - self._period:
            times.popleft()
        if len(times) < self._limit:
            return False
        times.clear()
        return True

    def clear(self) -> None:
        """Count anew."""
        self._times.clear()
