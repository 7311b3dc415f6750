"""What the log says once: of something that goes and comes back each outage, with its end, and one that flaps not all the time; of a key once in a while."""

from __future__ import annotations

import logging
import re
import threading

QUIET = 60.0
WARN_INTERVAL = 60.0
MAX_REASONS = 20
"""Different reasons that are said of one outage: they may be the other side's words."""
MAX_KEY = 300
"""Characters of a key that count: it may be a node's own words, of any length."""


class OutageLog:
    """One thing that can be away; any thread, monotonic seconds come in.

    Each reason is said once an outage, also when they take turns. When the same was said less than `quiet` seconds ago, a new outage
    is said only if it lasts longer than that.

    >>> link = OutageLog(quiet=60.0)
    >>> [link.on_failure("refused", now) for now in (0.0, 1.0)], link.on_recovery(5.0), link.on_recovery(6.0)
    ([True, False], 5.0, None)
    >>> [link.on_failure("refused", now) for now in (7.0, 8.0)], link.on_recovery(9.0)
    ([False, False], None)
    >>> [link.on_failure("refused", now) for now in (50.0, 61.0)], link.on_recovery(70.0)
    ([False, True], 20.0)
    >>> [link.on_failure(reason, 900.0) for reason in ("refused", "silent", "refused", "silent")]
    [True, True, False, False]
    """

    def __init__(self, quiet: float = QUIET) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told: set[str] = set()
        self._told_at: dict[str, float] = {}

    def on_failure(self, reason: str, now: float) -> bool:
        """It is away for this reason: whether to say so. Numbers in the reason, such as ports, do not make it another."""
        reason = re.sub(r"\d+", "#", reason)
        with self._lock:
            if self._since is None:
                self._since = now
            if (
                reason in self._told
                or len(self._told) >= MAX_REASONS
                or now - self._told_at.get(reason, float("-inf")) < self._quiet
            ):
                return False
            if len(self._told_at) >= MAX_REASONS:
                self._told_at.clear()
            self._told.add(reason)
            self._told_at[reason] = now
            return True

    def on_recovery(self, now: float) -> float | None:
        """It is there: the seconds that it was away if that was said, else None."""
        with self._lock:
            since, announced = self._since, bool(self._told)
            self._since = None
            self._told.clear()
        return now - since if announced and since is not None else None

    def log_recovery(self, log: logging.Logger, subject: str, now: float) -> None:
        """It is there: said at WARNING, as the outage was, if that was said. `subject` is the beginning of the sentence."""
        if (away := self.on_recovery(now)) is not None:
            log.warning("%s after %.0f s", subject, away)


class OncePerInterval:
    """Limits logging to once per key in `seconds`: warnings about one node do not drown those about others.

    Of more than `max_keys` different things in that time, the first ones are forgotten.
    """

    def __init__(self, seconds: float = WARN_INTERVAL, max_keys: int = 10_000) -> None:
        self._seconds = seconds
        self._max_keys = max_keys
        self._next: dict[str, float] = {}

    def allow(self, key: str, now: float) -> bool:
        """Whether this key may be logged now."""
        key = key[:MAX_KEY]
        if now < self._next.get(key, now):
            return False
        self._next.pop(key, None)  # so that the oldest is always the first
        while len(self._next) >= self._max_keys:
            del self._next[next(iter(self._next))]
        self._next[key] = now + self._seconds
        return True
