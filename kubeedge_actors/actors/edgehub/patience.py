"""When to try again: pure arithmetic of waiting."""

from __future__ import annotations

from collections.abc import Callable

FIRST, LONGEST = 0.5, 30.0
STEADY = 10.0


class Patience:
    """Exponential back-off with full jitter, in seconds; the other side's wish goes first.

    `chance`: a number from 0 to 1. A link that lasted STEADY seconds makes us start over.

    >>> patience = Patience(lambda: 1.0)
    >>> [patience.next() for _ in range(8)]
    [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    >>> patience.next(wish=90.0)
    90.5
    >>> patience.lasted(60.0)
    >>> patience.next()
    0.5
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._tries = 0

    def next(self, wish: float | None = None) -> float:
        """How long to wait now."""
        ceiling = min(LONGEST, FIRST * 2.0 ** min(self._tries, 16))
        self._tries += 1
        if wish is not None:
            return wish + FIRST * self._chance()
        return ceiling * self._chance()

    def lasted(self, seconds: float) -> None:
        """A link was up for so long."""
        if seconds >= STEADY:
            self._tries = 0


def overdue(since: float, tries: int, now: float, first: float = 60.0, longest: float = 3600.0) -> bool:
    """Whether what was said `tries` times, last at `since`, and not confirmed should be said again."""
    return now - since >= min(longest, first * 2.0 ** (min(tries, 16) - 1))
