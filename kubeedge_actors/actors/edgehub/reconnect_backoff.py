"""Exponential back-off with full jitter between connects (client-go: wait.Backoff). Pure."""

from __future__ import annotations

from collections.abc import Callable

INITIAL, MAXIMUM = 0.5, 30.0
RESET_AFTER = 10.0


class ReconnectBackoff:
    """Exponential back-off with full jitter, in seconds; the other side's wish goes first.

    `random`: a number from 0 to 1. A link that lasted RESET_AFTER seconds makes us start over.

    >>> backoff = ReconnectBackoff(lambda: 1.0)
    >>> [backoff.next_delay() for _ in range(8)]
    [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    >>> backoff.next_delay(retry_after=90.0)
    90.5
    >>> backoff.on_disconnected(60.0)
    >>> backoff.next_delay()
    0.5
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._tries = 0

    def next_delay(self, retry_after: float | None = None) -> float:
        """Seconds to wait before the next attempt."""
        ceiling = min(MAXIMUM, INITIAL * 2.0 ** min(self._tries, 16))
        self._tries += 1
        if retry_after is not None:
            return retry_after + INITIAL * self._random()
        return ceiling * self._random()

    def on_disconnected(self, seconds: float) -> None:
        """A link that was up for `seconds` has ended: a long one resets the back-off."""
        if seconds >= RESET_AFTER:
            self._tries = 0
