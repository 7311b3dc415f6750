"""How often one of many may have something done. Pure: monotonic seconds come in; the memory is bounded."""

from __future__ import annotations

SAY_EVERY = 60.0


class OncePer:
    """Lets one of many equal things through in `seconds`: warnings about one node do not drown those about others.

    Of more than `most` different things in that time, the first ones are forgotten.
    """

    def __init__(self, seconds: float = SAY_EVERY, most: int = 10_000) -> None:
        self._seconds = seconds
        self._most = most
        self._next: dict[str, float] = {}

    def lets(self, key: str, now: float) -> bool:
        """Whether it is its time."""
        if now < self._next.get(key, now):
            return False
        self._next.pop(key, None)  # so that the oldest is always the first
        while len(self._next) >= self._most:
            del self._next[next(iter(self._next))]
        self._next[key] = now + self._seconds
        return True


class Allowance:
    """Lets each of many through `most` times in a window of `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._until = 0.0
        self._used: dict[str, int] = {}

    def lets(self, key: str, now: float) -> bool:
        """Whether it has not had its share yet."""
        if now >= self._until:
            self._until, self._used = now + self._seconds, {}
        self._used[key] = self._used.get(key, 0) + 1
        return self._used[key] <= self._most
