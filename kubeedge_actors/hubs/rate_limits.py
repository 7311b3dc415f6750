"""Rate limits: of joining nodes; a quota by key; a token bucket. Pure: monotonic seconds come in; the memory is bounded."""

from __future__ import annotations


class Quota:
    """Allows each key `limit` times in a window of `seconds`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._until = 0.0
        self._used: dict[str, int] = {}

    def allow(self, key: str, now: float) -> bool:
        """Whether the key is below its limit; counts it."""
        if now >= self._until:
            self._until, self._used = now + self._seconds, {}
        self._used[key] = self._used.get(key, 0) + 1
        return self._used[key] <= self._limit


class TokenBucket:
    """Allows `burst` at once and `rate` a second in the long run."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at = 0.0

    def available(self, now: float) -> int:
        """How many are allowed now."""
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
        return int(self._tokens + 1e-6)  # ten times a tenth is one

    def take(self, now: float) -> bool:
        """Whether one more is allowed now; counts it."""
        if not self.available(now):
            return False
        self._tokens -= 1.0
        return True


class JoinRateLimiter:
    """Lets nodes join at a bounded rate, and tells one too many when to come back.

    `rate`: how many a second in the long run; `burst`: how many at once.
    """

    def __init__(self, rate: float = 200.0, burst: int = 400) -> None:
        self._interval = 1.0 / rate
        self._slack = burst / rate
        self._next = float("-inf")
        self._told = float("-inf")

    def retry_after(self, now: float) -> int:
        """0 when one more node may join now; otherwise the seconds after which it may try again."""
        turn = max(self._next, now - self._slack)
        if turn > now:
            # each another time, so that they do not come back at once either
            self._told = max(self._told, now) + self._interval
            return max(1, round(self._told - now))
        self._next = turn + self._interval
        return 0
